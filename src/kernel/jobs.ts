import { createTask, type ScheduledTask, validate } from 'node-cron';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import { GatewayError } from '../model/errors.ts';
import type { Notes } from '../model/notes.ts';
import { withDeadline } from './wait.ts';

const minuteMs = 60_000;
/** Timers may fire a little early by the wall clock. */
const marginMs = 50;
/** Minutes that are made up for after a stall; more than that is a clock that was set. */
const mostMissedMinutes = 5;
const defaultDeadlineMs = 600_000;
const closeDeadlineMs = 3_000;
const mostJobs = 100;

/** Background work that comes again. */
export type JobRun = (signal: AbortSignal) => Promise<void>;

/** Where work that comes again is asked for. */
export interface JobScheduler {
  /**
   * Runs at each minute that a cron expression of five fields names, in local time. Never twice at
   * once; a run longer than its deadline is told to stop and counts as failed. Returns the way to
   * end it. Throws CONFIG_INVALID for an expression that is none, or a name in use.
   */
  schedule(
    name: string,
    cron: string,
    run: JobRun,
    options?: { readonly deadlineMs?: number },
  ): () => void;
}

interface Job {
  readonly name: string;
  readonly task: ScheduledTask;
  readonly run: JobRun;
  readonly deadlineMs: number;
  running: Promise<void> | undefined;
  stop: AbortController | undefined;
  skipped: number;
}

export interface JobsParts {
  readonly clock: Clock;
  readonly notes: Pick<Notes, 'jobFailed'>;
  readonly conditions: ConditionReporter;
}

/**
 * Runs jobs at their times. Only the meaning of the expressions comes from node-cron: its own
 * timers walk through every missed slot when the clock is set, which after a start in the year 2000
 * would stand still for minutes, and wait for a day when the clock is set back by one.
 */
export class Jobs implements JobScheduler {
  readonly name = 'jobs';
  readonly #parts: JobsParts;
  readonly #jobs = new Map<string, Job>();
  #timer: Disposable | undefined;
  #lastMinute = 0;
  #closed = false;

  constructor(parts: JobsParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined || this.#closed) return;
    this.#lastMinute = this.#minute();
    this.#arm();
  }

  schedule(
    name: string,
    cron: string,
    run: JobRun,
    options: { readonly deadlineMs?: number } = {},
  ): () => void {
    if (this.#jobs.has(name) || this.#jobs.size >= mostJobs) {
      throw new GatewayError('CONFIG_INVALID', `there is a job "${name}" already`, {
        facts: { job: name },
      });
    }
    if (cron.trim().split(/\s+/).length !== 5 || !validate(cron)) {
      throw new GatewayError(
        'CONFIG_INVALID',
        `"${cron}" of job "${name}" is no cron expression of five fields, such as "5 * * * *"`,
        { facts: { job: name } },
      );
    }
    const job: Job = {
      name,
      // Never started: it only answers whether it matches.
      task: createTask(cron, () => {}, { name }),
      run,
      deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
      running: undefined,
      stop: undefined,
      skipped: 0,
    };
    this.#jobs.set(name, job);
    return () => this.#remove(job);
  }

  /** Runs a job now, or waits for the run under way. Never rejects: a failure is noted like that of any run. */
  async run(name: string): Promise<void> {
    const job = this.#jobs.get(name);
    if (job === undefined || this.#closed) return;
    await (job.running ?? this.#run(job));
  }

  /** How often a job was due while its last run had not ended. */
  skipped(name: string): number {
    return this.#jobs.get(name)?.skipped ?? 0;
  }

  /** Tells runs under way to stop and waits for them, but not for ever. May come twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const running: Promise<void>[] = [];
    for (const { stop, running: run } of this.#jobs.values()) {
      stop?.abort(new GatewayError('DEADLINE', 'the gateway is stopping'));
      if (run !== undefined) running.push(run);
    }
    await withDeadline('ending the jobs', closeDeadlineMs, Promise.all(running)).catch(() => {});
  }

  #remove(job: Job): void {
    if (this.#jobs.get(job.name) !== job) return;
    this.#jobs.delete(job.name);
    job.stop?.abort(new GatewayError('DEADLINE', `job ${job.name} was removed`));
    void job.task.destroy();
    this.#parts.conditions.clear('job-failed', job.name);
  }

  #minute(): number {
    return Math.floor(this.#parts.clock.wall() / minuteMs);
  }

  #arm(): void {
    const untilNext = minuteMs - (this.#parts.clock.wall() % minuteMs) + marginMs;
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#tick();
      this.#arm();
    }, untilNext);
  }

  #tick(): void {
    const minute = this.#minute();
    const missed = minute - this.#lastMinute;
    const first = missed > 0 && missed <= mostMissedMinutes ? this.#lastMinute + 1 : minute;
    if (missed === 0) return;
    this.#lastMinute = minute;
    for (const job of this.#jobs.values()) {
      for (let at = first; at <= minute; at += 1) {
        if (!job.task.match(new Date(at * minuteMs))) continue;
        if (job.running === undefined) void this.#run(job);
        else job.skipped += 1;
        break;
      }
    }
  }

  /** Never rejects. */
  #run(job: Job): Promise<void> {
    const stop = new AbortController();
    job.stop = stop;
    const work = (async () => job.run(stop.signal))();
    const judged = this.#judge(job, stop, work);
    // A run that ignores its deadline still counts as running: it must not be doubled.
    const ended = work.then(
      () => {},
      () => {},
    );
    job.running = Promise.all([judged, ended]).then(() => {
      job.running = undefined;
      job.stop = undefined;
    });
    return judged;
  }

  async #judge(job: Job, stop: AbortController, work: Promise<void>): Promise<void> {
    const { clock, notes, conditions } = this.#parts;
    try {
      await withDeadline(`job ${job.name}`, job.deadlineMs, work, clock);
      conditions.clear('job-failed', job.name);
    } catch (error) {
      const told = stop.signal.aborted;
      stop.abort(error);
      if (told || this.#jobs.get(job.name) !== job) return;
      notes.jobFailed({ job: job.name, error });
      const cause = error instanceof Error ? error.message : String(error);
      conditions.raise('job-failed', job.name, `The job "${job.name}" failed: ${cause}`);
    }
  }
}
