import { Command, CommanderError } from 'commander';
import { type Context, createContext, type GlobalOptions } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Output } from './output.ts';

/** A command line that has been laid out, and what became of it. */
export interface Program {
  readonly command: Command;
  /** Exit code of the action that has run. */
  exitCode(): number;
  /** Adds the commands of the plugins, which are read for it. */
  addActions(): Promise<void>;
}

const collect = (value: string, before: readonly string[] = []) => [...before, value];

/**
 * The tree of commands. What a command does is imported when it is called, so that `riser version`
 * does not load what only the daemon needs.
 */
export function buildProgram(out: Output, env: NodeJS.ProcessEnv): Program {
  let code: number = exitCodes.ok;
  const root = new Command('riser')
    .description('Edge gateway for building hardware: reads devices, stores, and sends upstream.')
    .option('--json', 'print one JSON document (its "schema" names its form)')
    .option('--socket <path>', 'control socket of the daemon (or RISER_SOCKET)')
    .option('--timeout <seconds>', 'give up after this time')
    .option('--no-color', 'no colours (or NO_COLOR)')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true, helpWidth: 80 });

  /** Runs an action that speaks with a person or the daemon. */
  const act =
    <Args extends readonly unknown[]>(
      action: (context: Context, ...args: Args) => Promise<ExitCode>,
    ) =>
    async (...args: unknown[]) => {
      using context = createContext(out, root.opts<GlobalOptions>(), env);
      // Commander hands the command over as last argument.
      const work = action(context, ...(args.slice(0, -1) as unknown as Args));
      code = await Promise.race([work, context.overdue]);
    };

  root
    .command('run')
    .description('run the daemon in the foreground, as systemd does')
    .option('--config <dir>', 'folder of the configuration (default: /etc/riser)')
    .option('--set <key=value>', 'override a setting, such as http.port=0', collect)
    .action(async (options: { config?: string; set?: string[] }) => {
      const { socket } = root.opts<GlobalOptions>();
      const { run } = await import('./run.ts');
      code = await run({ ...options, ...(socket === undefined ? {} : { socket }) });
    });

  root
    .command('demo')
    .description('run a simulated site on this machine; nothing is configured or left behind')
    .option('--for <time>', 'end after this time, such as 20s')
    .option('--upstream <url>', 'send to this broker instead of the one inside')
    .option('--keep', 'keep the folder with configuration and outbox')
    .action(async (options: { for?: string; upstream?: string; keep?: boolean }) => {
      const { demo } = await import('./demo.ts');
      const { demoOptions } = await import('./demo-options.ts');
      code = await demo(demoOptions({ ...options, ...root.opts<GlobalOptions>() }));
    });

  root
    .command('status')
    .description('the gateway at one look, with what needs attention')
    .option('--all', 'print every condition, not only the first ten')
    .action(
      act(async (context, options: { all?: boolean }) =>
        (await import('./status.ts')).status(context, options),
      ),
    );

  root
    .command('read')
    .description('read points of a device now')
    .argument('<device>', 'id of the device')
    .argument('[points...]', 'names within the device, such as ac.l1.voltage; none: all')
    .option('--last', 'print the values that were read last; the device is not asked')
    .option('--register <address>', 'raw data at an address of the device, such as 4x:40071')
    .action(
      act(
        async (
          context,
          device: string,
          points: string[],
          options: { last?: boolean; register?: string },
        ) => (await import('./read.ts')).read(context, device, points, options),
      ),
    );

  root
    .command('watch')
    .description('print values as they change, until Ctrl-C')
    .argument('[devices...]', 'ids of devices; none: all')
    .option('--all', 'print every value, also when it did not change')
    .option('--count <n>', 'end after n values')
    .option('--jsonl', 'one JSON document a line (the same as --json)')
    .action(
      act(async (context, devices: string[], options: { all?: boolean; count?: string }) =>
        (await import('./watch.ts')).watch(context, devices, options),
      ),
    );

  addOutbox(root, act);
  addConfig(root, act);

  root
    .command('ready')
    .description(
      'whether the gateway collects and stores, as exit code; the upstream does not count',
    )
    .action(act(async (context) => (await import('./ready.ts')).ready(context)));

  root
    .command('version')
    .description('print the version')
    .action(act(async (context) => (await import('./version.ts')).version(context)));

  root
    .command('help')
    .description('help for a command, or "exit-codes"')
    .argument('[topic...]')
    .action(
      act(async (context, topic: string[]) =>
        (await import('./help.ts')).help(context, root, topic),
      ),
    );

  return {
    command: root,
    exitCode: () => code,
    addActions: async () => {
      const { addActions } = await import('./action-commands.ts');
      const { installedCatalog } = await import('./installed-catalog.ts');
      addActions(root, act, (await installedCatalog(env)).actions);
    },
  };
}

type Act = <Args extends readonly unknown[]>(
  action: (context: Context, ...args: Args) => Promise<ExitCode>,
) => (...args: unknown[]) => Promise<void>;

function addOutbox(root: Command, act: Act): void {
  const outbox = root.command('outbox').description('what waits for the cloud');
  outbox
    .command('status')
    .description('streams, what was lost, and dead letters')
    .action(act(async (context) => (await import('./outbox-status.ts')).outboxStatus(context)));
  outbox
    .command('peek')
    .description('print events from the oldest on; nothing is removed')
    .option('--tenant <id>', 'tenant (needed when there are several)')
    .option('--lane <lane>', 'alarm, live or bulk (default: live)')
    .option('--after <sequence>', 'begin after this sequence')
    .option('--limit <n>', 'events to print, at most 100 (default: 5)')
    .action(
      act(async (context, options: import('./outbox-peek.ts').PeekOptions) =>
        (await import('./outbox-peek.ts')).outboxPeek(context, options),
      ),
    );
  outbox
    .command('export')
    .description('write all held events as NDJSON')
    .argument('[file]', 'file to write; none: stdout')
    .option('--tenant <id>', 'of this tenant only')
    .option('--lane <lane>', 'of this lane only')
    .option('--yes', 'replace a file that exists')
    .action(
      act(
        async (
          context,
          file: string | undefined,
          options: import('./outbox-export.ts').ExportOptions,
        ) => (await import('./outbox-export.ts')).outboxExport(context, file, options),
      ),
    );
}

function addConfig(root: Command, act: Act): void {
  const config = root.command('config').description('the files of the configuration');
  config
    .command('show')
    .description('print the settings in force; secrets are not shown')
    .argument('[dir]', 'folder of the configuration (default: RISER_CONFIG or /etc/riser)')
    .option('--origin', 'print where each setting comes from')
    .action(
      act(async (context, dir: string | undefined, options: { origin?: boolean }) =>
        (await import('./config-show.ts')).configShow(context, dir, options),
      ),
    );
  config
    .command('validate')
    .description('check the files without the daemon; all errors are told at once')
    .argument('[dir]', 'folder of the configuration (default: RISER_CONFIG or /etc/riser)')
    .option('--format <format>', 'text, json or github (default: text)')
    .action(
      act(async (context, dir: string | undefined, options: { format?: string }) =>
        (await import('./config-validate.ts')).configValidate(context, dir, options),
      ),
    );
  config
    .command('apply')
    .description('let the daemon load its files again and change what differs')
    .action(act(async (context) => (await import('./config-apply.ts')).configApply(context)));
}

/** Whether a command line may need the commands of the plugins: it names none of ours, or asks for help. */
export function mayNeedActions(command: Command, args: readonly string[]): boolean {
  const operands = args.filter(
    (arg, index) => !arg.startsWith('-') && !/^--(socket|timeout)$/.test(args[index - 1] ?? ''),
  );
  const [first] = operands;
  if (first === undefined || first === 'help') return true;
  return !command.commands.some((each) => each.name() === first);
}

/** Makes every command throw instead of ending the process, and print usage errors through us. */
export function tame(command: Command, out: Output): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void out.write(text),
    writeErr: (text) => out.tell(text.trimEnd()),
    // Told by us, in the words of all other errors.
    outputError: () => {},
  });
  for (const child of command.commands) tame(child, out);
}

/** Whether commander only wanted to print help or the version. */
export function isHelp(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.code === 'commander.helpDisplayed';
}
