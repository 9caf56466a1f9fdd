import test from 'ava';
import { Jobs } from '../../../src/kernel/jobs.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const minute = 60_000;

async function open(clock = new ManualClock({ wall: Date.UTC(2026, 10, 20, 9, 0, 10) })) {
  const failed: string[] = [];
  const conditions: string[] = [];
  const jobs = new Jobs({
    clock,
    notes: { jobFailed: ({ job, error }) => failed.push(`${job}: ${(error as Error).message}`) },
    conditions: {
      raise: (code, subject) => conditions.push(`raise ${code} ${subject}`),
      clear: (code, subject) => conditions.push(`clear ${code} ${subject}`),
    },
  });
  await jobs.start();
  return { jobs, clock, failed, conditions };
}

test('a job runs at the minutes that its expression names', async (t) => {
  const { jobs, clock } = await open();
  const runs: string[] = [];
  jobs.schedule('quarter', '*/15 * * * *', async () => {
    runs.push(new Date(clock.wall()).toISOString().slice(14, 16));
  });
  await clock.pass(61 * minute);
  t.deepEqual(runs, ['15', '30', '45', '00']);
});

test('a clock that is set forward by decades starts a job once, and at once', async (t) => {
  const { jobs, clock } = await open(new ManualClock({ wall: 0, synced: false }));
  let runs = 0;
  jobs.schedule('each', '* * * * *', async () => {
    runs += 1;
  });
  await clock.pass(minute + 100);
  t.is(runs, 1);
  clock.jumpWall(56 * 365 * 24 * 60 * minute);
  await clock.pass(minute);
  t.is(runs, 2);
});

test('a clock that is set past the time of a job does not run it at the wrong time', async (t) => {
  const { jobs, clock } = await open();
  let runs = 0;
  jobs.schedule('nightly', '0 3 * * *', async () => {
    runs += 1;
  });
  clock.jumpWall(24 * 60 * minute);
  await clock.pass(2 * minute);
  t.is(runs, 0);
});

test('a minute that was missed in a stall is made up for', async (t) => {
  const { jobs, clock } = await open();
  let runs = 0;
  jobs.schedule('hourly', '1 * * * *', async () => {
    runs += 1;
  });
  clock.jumpWall(3 * minute);
  await clock.pass(minute);
  t.is(runs, 1);
});

test('a clock that is set back by a day does not silence a job for a day', async (t) => {
  const { jobs, clock } = await open();
  let runs = 0;
  jobs.schedule('each', '* * * * *', async () => {
    runs += 1;
  });
  await clock.pass(minute);
  clock.jumpWall(-24 * 60 * minute);
  await clock.pass(3 * minute);
  t.is(runs, 4);
});

test('a job that is still running is not started again', async (t) => {
  const { jobs, clock } = await open();
  let runs = 0;
  let finish = () => {};
  jobs.schedule('slow', '* * * * *', () => {
    runs += 1;
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  await clock.pass(4 * minute);
  t.is(runs, 1);
  t.is(jobs.skipped('slow'), 3);

  finish();
  await clock.pass(minute);
  t.is(runs, 2);
});

test('a job that fails raises a condition, and one that works again clears it', async (t) => {
  const { jobs, clock, failed, conditions } = await open();
  let broken = true;
  jobs.schedule('backup', '* * * * *', () => {
    if (broken) throw new Error('disk gone');
    return Promise.resolve();
  });
  await clock.pass(minute);
  t.deepEqual(failed, ['backup: disk gone']);
  broken = false;
  await clock.pass(minute);
  t.deepEqual(conditions, ['raise job-failed backup', 'clear job-failed backup']);
});

test('a job beyond its deadline is told to stop, counts as failed, and is not doubled while it hangs', async (t) => {
  const { jobs, clock, failed } = await open();
  let runs = 0;
  let told: AbortSignal | undefined;
  jobs.schedule(
    'hung',
    '* * * * *',
    (signal) => {
      runs += 1;
      told = signal;
      return new Promise(() => {});
    },
    { deadlineMs: 90_000 },
  );
  await clock.pass(5 * minute);
  t.true(told!.aborted);
  t.is(runs, 1);
  t.is(failed.length, 1);
});

test('a job that was ended does not run again and takes its condition with it', async (t) => {
  const { jobs, clock, conditions } = await open();
  let runs = 0;
  const end = jobs.schedule('each', '* * * * *', async () => {
    runs += 1;
    throw new Error('no');
  });
  await clock.pass(minute);
  end();
  end();
  await clock.pass(2 * minute);
  t.is(runs, 1);
  t.is(conditions.at(-1), 'clear job-failed each');
  t.notThrows(() => jobs.schedule('each', '* * * * *', async () => {}));
});

test('an expression that is none is refused with an example', async (t) => {
  const { jobs } = await open();
  for (const cron of ['', 'often', '61 * * * *', '* * * * * *']) {
    t.throws(() => jobs.schedule('x', cron, async () => {}), {
      message: /such as "5 \* \* \* \*"/,
    });
  }
});

test('close stops what is running and may come twice', async (t) => {
  const { jobs, clock } = await open();
  let told: AbortSignal | undefined;
  jobs.schedule('long', '* * * * *', (signal) => {
    told = signal;
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
  });
  await clock.pass(minute);
  await Promise.all([jobs.close(), jobs.close()]);
  t.true(told!.aborted);
  t.is(clock.pending, 0);
});
