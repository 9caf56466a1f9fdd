/** When a fault strikes. Without `every` and `probability` it strikes at each request. */
export interface Trigger {
  /** At each n-th request of those that it looks at. */
  readonly every?: number;
  /** With this probability, drawn from the seeded generator of the fault. */
  readonly probability?: number;
  /** Looks only at requests with these function codes. */
  readonly functions?: readonly number[];
  /** Ends after it has struck this many times: the device recovers. */
  readonly limit?: number;
}

/** One fault of a unit or of a whole listener. */
export type Fault = Trigger &
  (
    | {
        /** Executes the request and never answers; answers too short or false in another way. */
        readonly kind:
          | 'silent'
          | 'closeBeforeAnswer'
          | 'reset'
          | 'wrongTransaction'
          | 'wrongUnit'
          | 'wrongFunction'
          | 'shortData'
          | 'duplicate';
      }
    /** The answer comes `ms` later while others overtake it; poisoned to prove it is not taken. */
    | { readonly kind: 'late'; readonly ms: number; readonly poison?: boolean }
    /** The unit takes `ms` longer, and whatever is behind it on the line waits. */
    | { readonly kind: 'slow'; readonly ms: number }
    | { readonly kind: 'exception'; readonly code: number }
    /** Exception 6 for `times` requests, then one that works, and again. */
    | { readonly kind: 'busy'; readonly times?: number }
    /** The first half of the answer, then nothing, or the end of the connection. */
    | { readonly kind: 'halfFrame'; readonly close?: boolean }
    | { readonly kind: 'garbage'; readonly bytes?: number }
    /** The header claims this length. */
    | { readonly kind: 'lengthLie'; readonly length?: number }
    /** One byte a segment, `ms` apart. */
    | { readonly kind: 'bytewise'; readonly ms?: number }
    /** Registers `from` to `to` do not exist: exception 2 for each request that touches one. */
    | { readonly kind: 'refuseRange'; readonly from: number; readonly to: number }
    /** Exception 3 for each read of more than `n` registers. */
    | { readonly kind: 'maxRegisters'; readonly n: number }
    /** These units are dead: their requests reach nobody. Only on a listener. */
    | { readonly kind: 'dropUnits'; readonly units: readonly number[] }
    /** Out of reach for `forMs` out of every `everyMs`, as an inverter is at night. */
    | {
        readonly kind: 'sleep';
        readonly everyMs: number;
        readonly forMs: number;
        readonly offsetMs?: number;
      }
  );

/** Names of all faults, as in the schema of the link. */
export type FaultKind = Fault['kind'];
