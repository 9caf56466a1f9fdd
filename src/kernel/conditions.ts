import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import {
  type Condition,
  type ConditionCode,
  type ConditionReporter,
  conditionKinds,
  type Severity,
} from '../model/condition.ts';
import type { Notes } from '../model/notes.ts';

/** Conditions of all codes together that are kept. */
const defaultLimit = 1_000;
/** Each code has room for this many whatever the others take: a thousand dead devices must not hide a full disk. */
const reservedPerCode = 16;
/** What was hidden behind a cause gets this long to recover before it is shown on its own. */
const defaultSettleMs = 2_000;
/** Texts come from drivers and brokers in part, and are shown on small screens. */
const maxTextLength = 500;

const rank: Readonly<Record<Severity, number>> = { error: 2, warning: 1, info: 0 };

interface Entry {
  readonly code: ConditionCode;
  readonly subject: string;
  readonly raisedAt: number;
  since: number;
  sinceIsSynced: boolean;
  text: string;
  remedy: string;
  under: readonly string[];
  /** It has lasted long enough to be shown. */
  ripe: boolean;
  /** Observers were told, and will be told once more when it ends. */
  announced: boolean;
  timer: Disposable | undefined;
}

/** What the book needs of its surroundings. */
export interface ConditionBookParts {
  readonly clock: Clock;
  readonly bus: Pick<Bus, 'emit'>;
  readonly notes: Pick<Notes, 'conditionRaised' | 'conditionCleared'>;
  readonly limit?: number;
  readonly settleMs?: number;
}

/**
 * What is wrong at present, each thing once.
 *
 * A condition is shown when it has lasted as long as its kind asks, and while nothing that it
 * depends on is active. Related are: the subject itself, the subjects above it (`under`), the ones
 * that name it as above them, and the whole gateway (empty subject). Each condition that was
 * announced as raised is announced as cleared exactly once, even if it was hidden in between.
 */
export class ConditionBook implements ConditionReporter {
  readonly #parts: ConditionBookParts;
  readonly #byCode = new Map<ConditionCode, Map<string, Entry>>();
  /** Entries by each subject above them. */
  readonly #below = new Map<string, Set<Entry>>();
  #size = 0;
  #overflow = 0;

  constructor(parts: ConditionBookParts) {
    this.#parts = parts;
  }

  raise(
    code: ConditionCode,
    subject: string,
    text: string,
    options: { readonly under?: readonly string[]; readonly remedy?: string } = {},
  ): void {
    const known = this.#byCode.get(code)?.get(subject);
    const entry = known ?? this.#create(code, subject);
    if (entry === undefined) {
      this.#overflow += 1;
      return;
    }
    entry.text = text.slice(0, maxTextLength);
    entry.remedy = options.remedy ?? conditionKinds[code].remedy;
    if (options.under !== undefined) this.#place(entry, options.under);
    if (known === undefined) this.#waitUntilRipe(entry, conditionKinds[code].timeToVisibleMs ?? 0);
    this.#announceIfVisible(entry);
  }

  clear(code: ConditionCode, subject: string): void {
    const entry = this.#byCode.get(code)?.get(subject);
    if (entry === undefined) return;
    entry.timer?.[Symbol.dispose]();
    this.#byCode.get(code)?.delete(subject);
    const above = entry.under;
    this.#place(entry, []);
    this.#size -= 1;
    if (entry.announced) {
      const condition = this.#shown(entry);
      this.#parts.notes.conditionCleared(condition);
      this.#parts.bus.emit('condition-cleared', condition);
    }
    this.#release(entry, above);
  }

  /** Clears every condition of these codes about a subject that does not exist any more. */
  forget(subject: string, codes?: readonly ConditionCode[]): void {
    for (const code of codes ?? [...this.#byCode.keys()]) this.clear(code, subject);
  }

  /** Whether it is raised, shown or not. */
  has(code: ConditionCode, subject: string): boolean {
    return this.#byCode.get(code)?.has(subject) ?? false;
  }

  /** Conditions to show: the worst first, of equal ones the oldest first. */
  list(): readonly Condition[] {
    return [...this.#entries()]
      .filter((entry) => this.#visible(entry))
      .sort(
        (a, b) =>
          rank[conditionKinds[b.code].severity] - rank[conditionKinds[a.code].severity] ||
          a.raisedAt - b.raisedAt,
      )
      .map((entry) => this.#shown(entry));
  }

  /** Worst severity among the conditions that are shown; undefined when there is none. */
  worst(): Severity | undefined {
    return this.list()[0]?.severity;
  }

  /** Conditions that were not taken because the book was full. */
  get overflow(): number {
    return this.#overflow;
  }

  /** Ends all timers. What is raised stays readable. */
  close(): void {
    for (const entry of this.#entries()) entry.timer?.[Symbol.dispose]();
  }

  *#entries(): Iterable<Entry> {
    for (const bySubject of this.#byCode.values()) yield* bySubject.values();
  }

  #create(code: ConditionCode, subject: string): Entry | undefined {
    const bySubject = this.#byCode.get(code) ?? new Map<string, Entry>();
    if (this.#size >= (this.#parts.limit ?? defaultLimit) && bySubject.size >= reservedPerCode) {
      return undefined;
    }
    const { clock } = this.#parts;
    const entry: Entry = {
      code,
      subject,
      raisedAt: clock.monotonic(),
      since: clock.wall(),
      sinceIsSynced: clock.synced(),
      text: '',
      remedy: '',
      under: [],
      ripe: false,
      announced: false,
      timer: undefined,
    };
    bySubject.set(subject, entry);
    this.#byCode.set(code, bySubject);
    this.#size += 1;
    return entry;
  }

  #waitUntilRipe(entry: Entry, ms: number): void {
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    entry.ripe = ms <= 0;
    if (entry.ripe) return;
    entry.timer = this.#parts.clock.setTimeout(() => {
      entry.timer = undefined;
      entry.ripe = true;
      this.#announceIfVisible(entry);
    }, ms);
  }

  #announceIfVisible(entry: Entry): void {
    if (entry.announced || !this.#visible(entry)) return;
    entry.announced = true;
    const condition = this.#shown(entry);
    this.#parts.notes.conditionRaised(condition);
    this.#parts.bus.emit('condition-raised', condition);
  }

  /** After a cause has ended: what it hid is shown if it does not recover by itself. */
  #release(cause: Entry, above: readonly string[]): void {
    for (const [code, bySubject] of this.#byCode) {
      if (conditionKinds[code].dependsOn?.includes(cause.code) !== true) continue;
      for (const entry of bySubject.values()) {
        if (entry.announced || !related(cause, above, entry) || this.#hidden(entry)) continue;
        this.#waitUntilRipe(
          entry,
          Math.max(
            this.#parts.settleMs ?? defaultSettleMs,
            conditionKinds[code].timeToVisibleMs ?? 0,
          ),
        );
      }
    }
  }

  #visible(entry: Entry): boolean {
    return entry.ripe && !this.#hidden(entry);
  }

  #hidden(entry: Entry): boolean {
    // What is on the screen already goes only when its cause comes: else nothing would be shown
    // while the cause ripens.
    const hides = (cause: Entry | undefined) =>
      cause !== undefined && (cause.ripe || !entry.announced);
    const causes = conditionKinds[entry.code].dependsOn ?? [];
    for (const code of causes) {
      const bySubject = this.#byCode.get(code);
      if (bySubject === undefined || bySubject.size === 0) continue;
      if (hides(bySubject.get('')) || hides(bySubject.get(entry.subject))) return true;
      if (entry.under.some((above) => hides(bySubject.get(above)))) return true;
    }
    for (const below of this.#below.get(entry.subject) ?? []) {
      if (causes.includes(below.code) && hides(below)) return true;
    }
    return false;
  }

  #place(entry: Entry, under: readonly string[]): void {
    for (const above of entry.under) {
      const below = this.#below.get(above);
      below?.delete(entry);
      if (below?.size === 0) this.#below.delete(above);
    }
    entry.under = under;
    for (const above of under) {
      const below = this.#below.get(above) ?? new Set();
      below.add(entry);
      this.#below.set(above, below);
    }
  }

  #shown(entry: Entry): Condition {
    const { clock } = this.#parts;
    if (!entry.sinceIsSynced && clock.synced()) {
      // Raised before the clock was set: the age is right, the date was not.
      entry.since = Math.round(clock.wall() - (clock.monotonic() - entry.raisedAt));
      entry.sinceIsSynced = true;
    }
    const { title, severity } = conditionKinds[entry.code];
    return {
      code: entry.code,
      subject: entry.subject,
      severity,
      title,
      text: entry.text,
      remedy: entry.remedy,
      runbook: `docs/runbooks/${entry.code}.md`,
      since: entry.since,
    };
  }
}

function related(cause: Entry, aboveCause: readonly string[], entry: Entry): boolean {
  return (
    cause.subject === '' ||
    cause.subject === entry.subject ||
    entry.under.includes(cause.subject) ||
    aboveCause.includes(entry.subject)
  );
}
