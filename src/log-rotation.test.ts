import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type LogRotation, RotatedFile } from './log-rotation.ts';

const NOW = Date.UTC(2026, 2, 4, 5, 6, 7, 89);
const MEGABYTE = 1024 * 1024;
const SETTINGS: LogRotation = {
  maxSize: 1,
  maxAge: 0,
  maxBackups: 0,
  localTime: false,
  compress: false,
};

let folder: string;
let now: number;
let problems: unknown[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rotation-'));
  now = NOW;
  problems = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  expect(problems).toEqual([]);
});

function opened(settings: Partial<LogRotation> = {}, name = 'etcd.log'): RotatedFile {
  const onProblem = (error: unknown): number => problems.push(error);
  return new RotatedFile(join(folder, name), { ...SETTINGS, ...settings }, onProblem, () => now);
}

function line(bytes: number, letter = 'x'): Buffer {
  return Buffer.from(`${letter.repeat(bytes - 1)}\n`);
}

function sizes(): Record<string, number> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).size]));
}

it('puts a file aside before a line that has no room, and names it by the time', () => {
  const file = opened();
  file.write(line(MEGABYTE - 10));
  file.write(line(10));
  expect(sizes()).toEqual({ 'etcd.log': MEGABYTE });
  file.write(line(1));
  expect(sizes()).toEqual({ 'etcd-2026-03-04T05-06-07.089.log': MEGABYTE, 'etcd.log': 1 });
  file.close();
});

it('goes on in a file that has room, and puts a full one aside at once', () => {
  writeFileSync(join(folder, 'etcd.log'), line(100));
  const first = opened();
  first.write(line(7));
  first.close();
  expect(sizes()).toEqual({ 'etcd.log': 107 });
  writeFileSync(join(folder, 'etcd.log'), line(MEGABYTE - 7));
  chmodSync(join(folder, 'etcd.log'), 0o640);
  const second = opened();
  second.write(line(7));
  second.close();
  const names = ['etcd-2026-03-04T05-06-07.089.log', 'etcd.log'];
  expect(Object.keys(sizes())).toEqual(names);
  expect(statSync(join(folder, 'etcd.log')).mode & 0o777).toBe(0o640);
});

it('makes a private file, and the folders to it', () => {
  const file = opened({}, 'a/b/etcd.log');
  file.write(line(1));
  file.close();
  expect(statSync(join(folder, 'a/b/etcd.log')).mode & 0o777).toBe(0o600);
});

it('refuses a line that is longer than a file may be', () => {
  const file = opened();
  const text = `write length ${MEGABYTE + 1} exceeds maximum file size ${MEGABYTE}`;
  expect(() => file.write(line(MEGABYTE + 1))).toThrow(text);
  expect(existsSync(join(folder, 'etcd.log'))).toBe(false);
});

it('takes 100 MB where no size is set', () => {
  writeFileSync(join(folder, 'etcd.log'), line(1));
  const file = opened({ maxSize: 0 });
  file.write(line(99 * MEGABYTE));
  expect(Object.keys(sizes())).toEqual(['etcd.log']);
  file.close();
});

it('keeps the newest files, and counts a file and its compressed form as one', async () => {
  const name = (second: number): string => `etcd-2026-03-04T05-00-0${second}.000.log`;
  for (const second of [1, 2, 3, 4]) writeFileSync(join(folder, name(second)), 'old');
  writeFileSync(join(folder, `${name(3)}.gz`), 'old');
  for (const other of ['etcd-notes.log', 'other-2026-03-04T05-00-01.000.log']) {
    writeFileSync(join(folder, other), 'not ours');
  }
  const file = opened({ maxBackups: 2 });
  file.write(line(1));
  await file.tidied();
  file.close();
  expect(Object.keys(sizes())).toEqual([
    name(3),
    `${name(3)}.gz`,
    name(4),
    'etcd-notes.log',
    'etcd.log',
    'other-2026-03-04T05-00-01.000.log',
  ]);
});

it('removes files by the age that their names tell', async () => {
  writeFileSync(join(folder, 'etcd-2026-03-02T05-06-07.088.log'), 'older than two days');
  writeFileSync(join(folder, 'etcd-2026-03-02T05-06-07.089.log'), 'not older');
  const file = opened({ maxAge: 2 });
  file.write(line(1));
  await file.tidied();
  file.close();
  expect(Object.keys(sizes())).toEqual(['etcd-2026-03-02T05-06-07.089.log', 'etcd.log']);
});

it('compresses what was put aside, beside the lines that are written', async () => {
  const file = opened({ compress: true });
  const letters = ['a', 'b', 'c'];
  for (const letter of letters) {
    file.write(line(MEGABYTE, letter));
    now += 1000;
  }
  await file.tidied();
  file.close();
  const names = ['etcd-2026-03-04T05-06-08.089.log.gz', 'etcd-2026-03-04T05-06-09.089.log.gz'];
  expect(Object.keys(sizes())).toEqual([...names, 'etcd.log']);
  names.forEach((name, i) => {
    const text = gunzipSync(readFileSync(join(folder, name)));
    expect(text.equals(line(MEGABYTE, letters[i]))).toBe(true);
  });
});

it('says when a file cannot be compressed, and keeps it', async () => {
  const name = 'etcd-2026-03-04T05-06-07.089.log';
  mkdirSync(join(folder, `${name}.gz`));
  const file = opened({ compress: true });
  file.write(line(MEGABYTE));
  file.write(line(1));
  await file.tidied();
  file.close();
  // It is tried again with every rotation.
  const told = problems.splice(0).map(String);
  expect(told.length).toBeGreaterThan(0);
  for (const problem of told) expect(problem).toContain('EISDIR');
  expect(Object.keys(sizes())).toContain(name);
});
