/** Something with a life: started once, closed once or twice, never started again. */
export interface Part {
  readonly name: string;
  /** Resolves when the part does its work. Rejects leaving nothing open. */
  start(signal: AbortSignal): Promise<void>;
  /** Never rejects; may come twice, and before start. */
  close(): Promise<void>;
}
