import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AssertionError } from './assert.ts';
import { createLog, type LogOptions } from './log.ts';
import { timestamp } from './log-line.ts';

function memoryLog(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    format: 'json',
    outputs: ['default'],
    write: (line) => lines.push(line),
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
    ...options,
  });
  return { log, lines };
}

describe('JSON lines', () => {
  it('have etcd’s keys in etcd’s order', () => {
    const { log, lines } = memoryLog();
    log
      .named('raft')
      .info('became leader', { took: '1.05ms', urls: ['a', 'b'], n: 1, gone: undefined });
    const [line = ''] = lines;
    expect(line.replace(/"(\d{4}-[^"]+Z?|src\/log\.test\.ts:\d+)"/g, '"…"')).toBe(
      '{"level":"info","ts":"…","logger":"raft","caller":"…","msg":"became leader",' +
        '"took":"1.05ms","urls":["a","b"],"n":1}\n',
    );
    expect(line).toMatch(/"caller":"src\/log\.test\.ts:\d+"/);
  });

  it('stay on one line whatever they carry', () => {
    const { log, lines } = memoryLog();
    log.warn('a\n"b"', { error: new Error('x\ny'), nested: { deep: [null, Number.NaN] } });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'a\n"b"',
      error: 'x\ny',
      nested: { deep: [null, 'NaN'] },
    });
  });

  it('carry a stack trace from error on, as the last key', () => {
    const { log, lines } = memoryLog();
    log.error('broken', { reason: 'r' });
    const record = JSON.parse(lines[0] ?? '') as { stacktrace: string };
    expect(Object.keys(record)).toEqual(['level', 'ts', 'caller', 'msg', 'reason', 'stacktrace']);
    expect(record.stacktrace).toMatch(/^.+\n\t.*log\.test\.ts:\d+/);
  });
});

describe('console lines', () => {
  it('are tab separated with spaced fields', () => {
    const { log, lines } = memoryLog({ format: 'console', now: () => Date.UTC(2026, 0, 2) });
    log.info('Running: ', { args: ['etcd', '-'], n: { a: 1 } });
    log.named('raft').info('plain');
    expect(lines[0]?.split('\t').slice(1)).toEqual([
      'info',
      expect.stringMatching(/^src\/log\.test\.ts:\d+$/),
      'Running: ',
      '{"args": ["etcd", "-"], "n": {"a": 1}}\n',
    ]);
    expect(lines[1]?.split('\t').slice(1, 3)).toEqual(['info', 'raft']);
  });
});

describe('timestamps', () => {
  it('have microseconds and a zone', () => {
    expect(timestamp(Date.UTC(2026, 10, 20, 13, 51, 2, 7) + 0.0424)).toMatch(
      /^2026-11-2\dT\d\d:\d\d:02\.007042(Z|[+-]\d{4})$/,
    );
  });

  it('do not go back within a burst', () => {
    const { log, lines } = memoryLog();
    for (let i = 0; i < 50; i++) log.info('tick');
    const stamps = lines.map((line) => line.slice(23, 49));
    expect([...stamps].sort()).toEqual(stamps);
  });
});

describe('levels', () => {
  it('are a threshold', () => {
    const { log, lines } = memoryLog({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    expect(lines).toHaveLength(1);
    expect([log.enabled('info'), log.enabled('fatal')]).toEqual([false, true]);
  });

  it('panic throws an assertion and fatal exits with 1, both after writing', () => {
    const { log, lines } = memoryLog({ level: 'fatal' });
    expect(() => log.panic('p')).toThrow(AssertionError);
    expect(() => log.fatal('f')).toThrow('exit 1');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['f']);
  });
});

describe('sampling', () => {
  it('writes the first 100 equal messages of a second, then every 100th', () => {
    let now = 5000;
    const { log, lines } = memoryLog({ now: () => now });
    for (let i = 0; i < 350; i++) log.info('same');
    log.info('other');
    expect(lines).toHaveLength(103);
    now = 6000;
    log.info('same');
    expect(lines).toHaveLength(104);
  });
});

describe('outputs', () => {
  it('are written before the call returns, each file once', () => {
    const dir = mkdtempSync(join(tmpdir(), 'log-'));
    const path = join(dir, 'a.log');
    const log = createLog({ level: 'info', format: 'json', outputs: [path, path] });
    log.info('one');
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(2);
    log.close();
    log.info('two');
    expect(log.dropped()).toBe(1);
    rmSync(dir, { recursive: true });
  });

  it('/dev/null silences all others', () => {
    const dir = mkdtempSync(join(tmpdir(), 'log-'));
    const path = join(dir, 'b.log');
    createLog({ level: 'info', format: 'json', outputs: [path, '/dev/null'] }).info('x');
    expect(() => readFileSync(path)).toThrow('ENOENT');
    rmSync(dir, { recursive: true });
  });

  it('fail loudly when a file cannot be opened', () => {
    const outputs = ['/nonexistent/dir/x.log'];
    expect(() => createLog({ level: 'info', format: 'json', outputs })).toThrow(
      'open sink "/nonexistent/dir/x.log": open /nonexistent/dir/x.log: no such file or directory',
    );
  });

  it('may be written as URLs of files, and of nothing else', () => {
    const dir = mkdtempSync(join(tmpdir(), 'log-'));
    const path = join(dir, 'c.log');
    createLog({ level: 'info', format: 'json', outputs: [`file://${path}`] }).info('x');
    expect(readFileSync(path, 'utf8')).toContain('"msg":"x"');
    const open = () =>
      createLog({ level: 'info', format: 'json', outputs: ['http://a/b', path, 'x:y'] });
    expect(open).toThrow(
      'open sink "http://a/b": no sink found for scheme "http"; ' +
        'open sink "x:y": no sink found for scheme "x"',
    );
    rmSync(dir, { recursive: true });
  });
});
