import { performance } from 'node:perf_hooks';
import type { Runtime } from './server/runtime.ts';

/** Surroundings for a simulated site outside of a gateway: real clocks and timers, no log. */
export function standaloneRuntime(): Runtime {
  const quiet = () => {};
  return {
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimeout(run, ms) {
      const timer = setTimeout(run, ms);
      return { [Symbol.dispose]: () => clearTimeout(timer) };
    },
    setInterval(run, ms) {
      const timer = setInterval(run, ms);
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
  };
}
