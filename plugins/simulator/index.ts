import type { DriverFactory } from '#driver';
import { SimulatorDriver } from './simulator-driver.ts';

const createSimulator: DriverFactory = (host) => new SimulatorDriver(host);

export default createSimulator;
