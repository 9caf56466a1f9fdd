import { withDeadline } from '../kernel/wait.ts';
import { actionRoutes } from './action-routes.ts';
import { outboxRoutes } from './outbox-routes.ts';
import { faultProblem, type Problem } from './problem.ts';
import { type Call, jsonAnswer, listOf, type Route } from './route.ts';
import { record, ref } from './schemas.ts';
import { valueRoutes } from './value-routes.ts';

const applyDeadlineMs = 120_000;
const metricsDeadlineMs = 5_000;

/** All routes of the control API. docs/reference/openapi.json is generated from them. */
export const controlRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/status',
    operation: 'getStatus',
    summary: 'One look at the whole gateway',
    answer: jsonAnswer('State of every part, and what needs attention.', ref('GatewayStatus')),
    handle: ({ control }) => control.status(),
  },
  {
    method: 'GET',
    path: '/devices',
    operation: 'listDevices',
    summary: 'State of every device',
    answer: jsonAnswer(
      'In the order of the configuration.',
      record({ devices: listOf(ref('DeviceStatus')) }),
    ),
    handle: ({ control }) => ({ devices: control.status().devices }),
  },
  {
    method: 'GET',
    path: '/links',
    operation: 'listLinks',
    summary: 'State of every link and of the driver processes',
    answer: jsonAnswer(
      'Links in the order of the configuration.',
      record({ links: listOf(ref('LinkStatus')), drivers: listOf(ref('DriverProcessStatus')) }),
    ),
    handle: ({ control }) => {
      const { links, drivers } = control.status();
      return { links, drivers };
    },
  },
  ...valueRoutes,
  ...outboxRoutes,
  ...actionRoutes,
  {
    method: 'POST',
    path: '/config/apply',
    operation: 'applyConfig',
    summary: 'Loads the files of the configuration again and applies what changed',
    body: record({}),
    answer: jsonAnswer('What was changed.', ref('ApplyResult')),
    also: { 422: 'The files have errors; `findings` lists them, and nothing was changed.' },
    handle: applyConfig,
  },
  {
    method: 'GET',
    path: '/ready',
    operation: 'getReady',
    summary: 'Whether the gateway collects and stores; the state of the upstream does not count',
    answer: jsonAnswer('It does.', record({ ready: { const: true }, mode: { type: 'string' } })),
    also: { 503: 'It does not, with the same members.' },
    handle: ({ control, reply }) => {
      const ready = control.ready();
      if (!ready) reply.code(503);
      return { ready, mode: control.status().mode };
    },
  },
  {
    method: 'GET',
    path: '/version',
    operation: 'getVersion',
    summary: 'Version of the daemon and of this API',
    answer: jsonAnswer(
      'Versions.',
      record({
        version: { type: 'string' },
        node: { type: 'string' },
        api: { const: 'v1' },
        bootId: { type: 'string' },
      }),
    ),
    handle: ({ control, version }) => ({
      version,
      node: process.version,
      api: 'v1',
      bootId: control.status().bootId,
    }),
  },
  {
    method: 'GET',
    path: '/metrics',
    operation: 'getMetrics',
    summary: 'Metrics in the text format of Prometheus',
    answer: { type: 'text/plain', schema: { type: 'string' }, description: 'Version 0.0.4.' },
    handle: async ({ metrics, reply }) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return await withDeadline('gathering the metrics', metricsDeadlineMs, metrics());
    },
  },
];

async function applyConfig({ control, reply }: Call): Promise<unknown> {
  const result = await withDeadline(
    'applying the configuration',
    applyDeadlineMs,
    control.applyConfig(),
  );
  if (result.applied) return result;
  const errors = result.findings.filter(({ severity }) => severity === 'error').length;
  const problem: Problem = {
    ...faultProblem('REQUEST_INVALID', `The configuration has ${errors} errors; nothing changed.`),
    type: 'urn:riser:problem:config-invalid',
    title: 'Config invalid',
    status: 422,
    code: 'CONFIG_INVALID',
    remedy: 'Run "riser config validate" and correct what it lists.',
  };
  reply.code(422).type('application/problem+json; charset=utf-8');
  return JSON.stringify({ ...problem, findings: result.findings });
}
