// Real peers, one file after the other: on two cores a second gateway beside the first would only measure itself.
export default {
  extensions: ['ts'],
  files: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'],
  workerThreads: false,
  concurrency: 1,
  serial: true,
  timeout: '10m',
};
