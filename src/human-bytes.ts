/** Sizes as etcd's log lines show them beside the bytes: decimal units, two or three digits. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** `bytes` as "21 kB", "2.1 GB". */
export function humanBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.floor(Math.log(bytes) / Math.log(1000));
  const tenths = Math.floor((bytes / 1000 ** power) * 10 + 0.5);
  const unit = UNITS[power] ?? '';
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} ${unit}`;
  // Go rounds a half to the even neighbour.
  const whole = Math.floor(tenths / 10);
  const rest = tenths % 10;
  const up = rest > 5 || (rest === 5 && whole % 2 === 1);
  return `${whole + Number(up)} ${unit}`;
}
