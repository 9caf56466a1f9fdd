import type { Command } from 'commander';
import { exitCodeTexts } from './exit-codes.ts';
import { outputSchemas } from './output-schemas.ts';

/** docs/reference/cli.md: every command, option, exit code and document of --json. */
export function commandReference(root: Command): string {
  return [
    '# Command line',
    '',
    'Generated from the commands themselves. Commands, options, exit codes and the documents of `--json` are public: within a major version they are only added to.',
    '',
    'Data goes to stdout, everything else to stderr. Without a terminal, or with `NO_COLOR`, there are no colours. Ctrl-C ends any command; a reader that goes away (`riser watch | head`) ends it too, with 0.',
    '',
    '## Commands',
    '',
    ...commandsOf(root, 'riser'),
    '## Options of every command',
    '',
    ...optionTable(root),
    '',
    'The socket is the one of `--socket`, else of `RISER_SOCKET`, else `/run/riser/control.sock`. Members of group `riser` may use it.',
    '',
    '## Exit codes',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(exitCodeTexts).map(([code, text]) => `| ${code} | ${text} |`),
    '',
    '`riser read` ends with 5 when some points are bad and with 1 when all are; uncertain values are values. `riser ready` ends with 1 when the gateway is not ready. `riser config validate` ends with 0 when there are only warnings.',
    '',
    '## Documents of --json',
    '',
    'A command prints one document (`riser watch`: one a line); its member `schema` names its form. A command that fails prints `riser.error/1` instead, and its message on stderr. Times are milliseconds. The members are those of [openapi.json](openapi.json).',
    '',
    '| schema | printed by |',
    '|---|---|',
    ...Object.entries(outputSchemas).map(([name, { command }]) => `| \`${name}\` | ${command} |`),
    '',
  ].join('\n');
}

function commandsOf(parent: Command, path: string): readonly string[] {
  return parent.commands.flatMap((command) => {
    const name = `${path} ${command.name()}`;
    if (command.commands.length > 0) return commandsOf(command, name);
    const usage = command.usage().replace(/^\[options\] ?/, '');
    const options = command.options.length > 0 ? optionTable(command) : [];
    return [
      `### \`${`${name} ${usage}`.trim()}\``,
      '',
      `${sentence(command.description())}`,
      '',
      ...(options.length > 0 ? [...options, ''] : []),
    ];
  });
}

function optionTable(command: Command): readonly string[] {
  return [
    '| option | meaning |',
    '|---|---|',
    ...command.options.map(({ flags, description }) => `| \`${flags}\` | ${description} |`),
  ];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
