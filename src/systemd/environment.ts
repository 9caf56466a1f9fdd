/** What systemd tells a service in its environment. */
export interface SystemdEnvironment {
  /** Where messages go; undefined when not started by systemd with Type=notify. */
  readonly notifySocket?: string;
  /** Milliseconds after which a silent service is killed. */
  readonly watchdogMs?: number;
  /** Folder of LoadCredential=, where secrets are looked for. */
  readonly credentials?: string;
}

/**
 * Reads what systemd tells and removes it from the environment, so that no child process can speak
 * in the name of the gateway (sd_notify(3) advises this).
 */
export function takeSystemdEnvironment(
  env: NodeJS.ProcessEnv,
  pid: number = process.pid,
): SystemdEnvironment {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, CREDENTIALS_DIRECTORY } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  const usec = Number(WATCHDOG_USEC);
  const meant = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === pid;
  return {
    // "@" begins an abstract socket, "/" a path; systemd uses no other.
    ...(NOTIFY_SOCKET !== undefined &&
      /^[@/]/.test(NOTIFY_SOCKET) && { notifySocket: NOTIFY_SOCKET }),
    ...(meant && Number.isFinite(usec) && usec > 0 && { watchdogMs: usec / 1_000 }),
    ...(CREDENTIALS_DIRECTORY !== undefined &&
      CREDENTIALS_DIRECTORY !== '' && { credentials: CREDENTIALS_DIRECTORY }),
  };
}
