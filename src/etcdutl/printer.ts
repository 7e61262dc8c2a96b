/** Results in the forms of `--write-out`, byte for byte as etcd's tools print them. */

import { type Call, CommandError, Exit } from './command.ts';

/** One result: the columns of its table, and its fields under their names in text and JSON. */
export interface Printed {
  readonly columns: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, string | number])[];
  readonly json: Readonly<Record<string, string | number>>;
}

export type Print = (result: Printed) => void;

/** etcd: an unknown form is noticed before there is anything to print. */
export function printerOf({ flag, out }: Call): Print {
  switch (flag('write-out')) {
    case 'simple':
      return ({ columns }) => out(`${columns.map(([, value]) => value).join(', ')}\n`);
    case 'fields':
      return ({ fields }) => out(fields.map(([name, value]) => `"${name}" : ${value}\n`).join(''));
    case 'json':
      return ({ json }) => out(`${JSON.stringify(json)}\n`);
    case 'table':
      return ({ columns }) => out(tableOf(columns));
    case 'protobuf':
      return () => {
        throw new CommandError(Exit.BAD_FEATURE, 'protobuf not supported as output format');
      };
    default:
      throw new CommandError(Exit.BAD_FEATURE, 'unsupported output format');
  }
}

function tableOf(columns: Printed['columns']): string {
  const widths = columns.map(([name, value]) => Math.max(name.length, value.length));
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${right}\n`;
  const line = (cell: (column: number) => string): string =>
    `│${widths.map((_, column) => ` ${cell(column)} `).join('│')}│\n`;
  const width = (column: number): number => widths[column] ?? 0;
  return [
    rule('┌', '┬', '┐'),
    line((column) => centred(columns[column]?.[0].toUpperCase() ?? '', width(column))),
    rule('├', '┼', '┤'),
    line((column) => (columns[column]?.[1] ?? '').padStart(width(column))),
    rule('└', '┴', '┘'),
  ].join('');
}

function centred(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return `${' '.repeat(left)}${text}`.padEnd(width);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** Decimal units, one digit behind the point below 10. */
export function humanBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.floor(Math.log(bytes) / Math.log(1000));
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : goRounded(value)} ${UNITS[power]}`;
}

/** Go's %.0f: halves go to the even neighbour. */
function goRounded(value: number): string {
  const floor = Math.floor(value);
  const isTie = value - floor === 0.5;
  return String(isTie ? floor + (floor % 2) : Math.round(value));
}
