/** Time as the gateway's parts see it. Tests replace it. */
export interface Clock {
  /** Names this run of the machine; a reboot changes it. */
  readonly bootId: string;
  /** Milliseconds since 1970. May jump: for timestamps only. */
  wall(): number;
  /** Milliseconds since some start. Never jumps: for order, age and waiting. */
  monotonic(): number;
  /** Whether the wall clock has been set from the network since boot. */
  synced(): boolean;
  /** A timer that does not keep the process alive; disposing ends it. */
  setTimeout(fn: () => void, ms: number): Disposable;
}
