import type { Opaque } from './point.ts';

/** Something that a technician may have a driver do: scan a network, identify a device, read raw data. */
export interface Action {
  /** First word of the command: the plugin that offers it. */
  readonly plugin: string;
  /** Second word of the command. */
  readonly name: string;
  readonly help: string;
  readonly effect: 'read-only' | 'writing';
  /** Whether polling of the link pauses while it runs. */
  readonly link: 'shared' | 'exclusive' | 'none';
  readonly columns: readonly ActionColumn[];
  /**
   * JSON Schema of the arguments. `x-position: 1` makes one an operand of the command, in this
   * order; `x-device: true` says that it may be the id of a configured device.
   */
  readonly argumentsSchema: Opaque;
}

export interface ActionColumn {
  readonly key: string;
  readonly title: string;
  readonly unit?: string;
}

/** Which action is to run, and on what. */
export interface ActionRequest {
  /** May be left out when `device` is given: it is the one that reads the device. */
  readonly plugin?: string;
  readonly action: string;
  readonly args: { readonly [key: string]: Opaque };
  /** Configured link to run it on. */
  readonly link?: string;
  /** Configured device to run it on: its id becomes the argument that takes a device. */
  readonly device?: string;
  /** Only say what would be done and how long it takes; nothing is sent to a device. */
  readonly planOnly?: boolean;
}

/** What an action tells: a plan with its cost first, then progress, rows and notes. */
export type ActionOutput =
  | { readonly kind: 'plan'; readonly text: string; readonly seconds: number }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'row'; readonly row: { readonly [key: string]: Opaque } }
  | { readonly kind: 'note'; readonly level: 'info' | 'warning'; readonly text: string };

/** An action that has been accepted. */
export interface RunningAction {
  readonly plugin: string;
  readonly name: string;
  readonly columns: readonly ActionColumn[];
  /** Configured link that it runs on. */
  readonly link?: string;
  /** Devices whose polling pauses while it runs. */
  readonly pauses: number;
  /** Ending the iteration ends the action. */
  readonly outputs: AsyncIterable<ActionOutput>;
}

/** One line of a running action on the control API: `begin` first, `end` or `failed` last. */
export type ActionLine =
  | {
      readonly kind: 'begin';
      readonly plugin: string;
      readonly action: string;
      readonly link?: string;
      readonly pauses: number;
      readonly columns: readonly ActionColumn[];
    }
  | ActionOutput
  | { readonly kind: 'end' }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
    };
