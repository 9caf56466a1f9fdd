import { createInterface } from 'node:readline/promises';
import { printable } from '../http/printable.ts';
import { columns as widthOf } from '../http/text-block.ts';
import type { ActionColumn, ActionLine, ActionRequest } from '../model/action.ts';
import type { Opaque } from '../model/point.ts';
import { ActionSource } from './action-source.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodeOf, exitCodes } from './exit-codes.ts';
import { table } from './table.ts';

/** Options that every action has. */
export interface ActionFlags {
  readonly yes?: boolean;
  readonly jsonl?: boolean;
}

type Row = Readonly<Record<string, Opaque>>;
type Begin = Extract<ActionLine, { readonly kind: 'begin' }>;
type Plan = Extract<ActionLine, { readonly kind: 'plan' }>;

/** An action that takes longer is begun only when somebody wants it, seconds. */
const askFromSeconds = 10;
/** Rows that are kept for the table. */
const maxRows = 100_000;

/** `riser PLUGIN ACTION …`: says what it costs, asks when that is much, and prints what was found. */
export async function runAction(
  context: Context,
  request: ActionRequest,
  flags: ActionFlags,
): Promise<ExitCode> {
  await using source = new ActionSource(context);
  if (flags.yes !== true) await agree(context, source, request);
  const found = new Findings(context, flags);
  let failure: unknown;
  try {
    for await (const line of source.lines(request)) await found.take(line, flags.yes === true);
  } catch (error) {
    failure = error;
  }
  // What was found until Ctrl-C, or until it failed, is worth as much as it was before.
  return await found.print(failure);
}

/** Prints the plan and asks before what takes long or disturbs others. Throws NEEDS_YES or INTERRUPTED. */
async function agree(context: Context, source: ActionSource, request: ActionRequest) {
  let begin: Begin | undefined;
  let plan: Plan | undefined;
  for await (const line of source.lines({ ...request, planOnly: true })) {
    if (line.kind === 'begin') begin = line;
    else if (line.kind === 'plan') plan = line;
  }
  if (plan !== undefined) tellPlan(context, plan);
  const why: string[] = [];
  if (begin?.link !== undefined && begin.pauses > 0) {
    const devices = begin.pauses === 1 ? '1 device' : `${begin.pauses} devices`;
    context.out.tell(
      `Link ${printable(begin.link, 63)} is in use by ${devices}; polling on it pauses meanwhile.`,
    );
    why.push('it pauses the polling of a link');
  }
  if (plan !== undefined && plan.seconds > askFromSeconds) {
    why.push(`it may take ${durationText(plan.seconds)}`);
  }
  if (why.length > 0) await confirm(context, why.join(' and '));
}

async function confirm(context: Context, why: string): Promise<void> {
  const refused = new CommandError('NEEDS_YES', `not begun: ${why}`, 'Add --yes to begin.');
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) throw refused;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question('Continue? [y/N] ', { signal: context.signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw refused;
  } finally {
    lines.close();
  }
}

function tellPlan({ out }: Context, { text, seconds }: Plan): void {
  out.tell(`Plan: ${printable(text, 500)} → about ${durationText(seconds)}`);
}

/** What an action tells, on its way to the terminal. */
class Findings {
  readonly #context: Context;
  readonly #asLines: boolean;
  readonly #rows: Row[] = [];
  readonly #notes: { readonly level: string; readonly text: string }[] = [];
  #begin: Begin | undefined;
  #printed = 0;
  #startedAt = performance.now();

  constructor(context: Context, flags: ActionFlags) {
    this.#context = context;
    this.#asLines = flags.jsonl === true;
  }

  async take(line: ActionLine, tellsPlan: boolean): Promise<void> {
    const { out } = this.#context;
    switch (line.kind) {
      case 'begin':
        this.#begin = line;
        this.#startedAt = performance.now();
        return;
      case 'plan':
        if (tellsPlan) tellPlan(this.#context, line);
        return;
      case 'progress': {
        const left = (performance.now() - this.#startedAt) * (line.total / line.done - 1);
        const eta = line.done > 0 ? `, left ${durationText(left / 1000)}` : '';
        out.progress(`${line.done}/${line.total}, found ${this.#rows.length}${eta}`);
        return;
      }
      case 'row':
        if (this.#asLines) await out.json('riser.action-row/1', { row: line.row });
        else if (this.#rows.length < maxRows) this.#rows.push(line.row);
        this.#printed += 1;
        return;
      case 'note':
        out.progress('');
        if (!this.#context.json) {
          out.tell(`${line.level === 'warning' ? ' ! ' : ''}${printable(line.text, 2_000)}`);
        }
        this.#notes.push({ level: line.level, text: line.text });
        return;
      case 'failed':
        throw new CommandError(line.code, line.message, line.remedy);
      case 'end':
    }
  }

  /** Prints what was found; `failure` is why it ended before its time. */
  async print(failure: unknown): Promise<ExitCode> {
    const { out, json } = this.#context;
    out.progress('');
    const begin = this.#begin;
    if (begin === undefined) throw failure ?? new Error('the action did not begin');
    if (this.#asLines) {
      if (failure !== undefined) throw failure;
    } else if (json) {
      await out.json('riser.action/1', {
        plugin: begin.plugin,
        action: begin.action,
        ...(begin.link !== undefined && { link: begin.link }),
        columns: begin.columns,
        rows: this.#rows,
        notes: this.#notes,
        complete: failure === undefined,
      });
      if (failure !== undefined) {
        const { message, remedy = '' } = failure as { message: string; remedy?: string };
        const code = exitCodeOf(failure);
        if (code !== exitCodes.interrupted) out.failure(message, remedy);
        return code;
      }
    } else {
      if (this.#rows.length > 0) {
        await out.write(`${actionTable(begin.columns, this.#rows, out.width).join('\n')}\n`);
      }
      if (failure !== undefined) throw failure;
      if (this.#rows.length === 0) out.tell('nothing was found');
    }
    return this.#printed > 0 ? exitCodes.ok : exitCodes.nothingFound;
  }
}

/** Rows in the columns of an action; the widest columns give way until a line fits. */
export function actionTable(
  columns: readonly ActionColumn[],
  rows: readonly Row[],
  width: number,
): readonly string[] {
  const cells = rows.map((row) => columns.map(({ key }) => cellText(row[key])));
  const titles = columns.map(({ title, unit }) =>
    unit === undefined ? title : `${title} ${unit}`,
  );
  const widths = titles.map((title, index) =>
    Math.max(widthOf(title), ...cells.map((line) => widthOf(line[index] ?? ''))),
  );
  const total = () => widths.reduce((sum, each) => sum + each + 2, -2);
  while (total() > width && Math.max(...widths) > 8) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return table(
    columns.map(({ key }, index) => ({
      title: titles[index] ?? '',
      max: widths[index] ?? 0,
      align: rows.every((row) => typeof (row[key] ?? 0) === 'number') ? 'right' : 'left',
    })),
    cells,
  );
}

function cellText(value: Opaque | undefined): string {
  if (value === undefined || value === null) return '-';
  if (Array.isArray(value)) return value.map(cellText).join(', ');
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value), 500);
}

/** Seconds as a person says them: "4 s", "3 min 12 s". */
function durationText(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
