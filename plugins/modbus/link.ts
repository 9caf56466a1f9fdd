import { AnswerTimes } from './answer-times.ts';

/** One request to one unit. */
export interface LinkRequest {
  readonly unit: number;
  /** Function code and data. */
  readonly pdu: Buffer;
  /** Longest wait for the answer, counted from sending. */
  readonly timeoutMs: number;
  /** Silence on the link before the request. */
  readonly interRequestMs: number;
  /** The answer may carry another unit id. */
  readonly ignoreUnitId?: boolean;
  readonly signal: AbortSignal;
}

/** What happened on a link since it was last asked. */
export interface LinkCounts {
  requests: number;
  timeouts: number;
  /** Answers that came after their timeout. */
  late: number;
  /** Answers to requests that were never made. */
  foreign: number;
  /** Frames that do not fit their request, and streams that are no Modbus. */
  badFrames: number;
  reconnects: number;
  /** Of the last answers, not only those since it was last asked. */
  readonly times: AnswerTimes;
}

/**
 * One conversation with the units on one medium. Requests are answered in the order in which they
 * are sent, or as the medium allows; one that fails never disturbs another.
 */
export interface Link {
  readonly state: 'opening' | 'open' | 'down' | 'closed';
  /** Rejects with a ModbusError, leaving nothing open. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Resolves with an answer that fits the request; it may be an exception. Rejects with a
   * ModbusError: timeout, bad-response, link-down, or closed.
   */
  request(request: LinkRequest): Promise<Buffer>;
  /** Counts since the last call. */
  takeCounts(): LinkCounts;
  /** Ends the connection until the next request, if nothing waits on it. */
  rest?(): void;
  /** Rejects what is pending with closed. May be called twice. */
  close(): Promise<void>;
}

/** Counts of a link on which nothing has happened. */
export function noCounts(times: AnswerTimes = new AnswerTimes()): LinkCounts {
  return { requests: 0, timeouts: 0, late: 0, foreign: 0, badFrames: 0, reconnects: 0, times };
}
