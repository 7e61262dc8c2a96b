// What only shows without etcd's tool beside: proposals for shells, and sizes for readers.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metaRows } from '../buckets.ts';
import { LevelEngine } from '../platform/level-engine.ts';
import { execute } from './command-line.ts';
import { etcdutl } from './commands.ts';
import { humanBytes } from './printer.ts';

async function say(...words: readonly string[]) {
  let stdout = '';
  let stderr = '';
  const code = await execute(etcdutl, words, {
    out: (text) => {
      stdout += String(text);
    },
    err: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}

describe('completion', () => {
  it.each([
    [['snap'], 'snapshot\tManages etcd node snapshots\n:4\n'],
    [['snapshot', 'restore', '--data-dir', ''], ':16\n'],
    [['snapshot', 'status', ''], ':0\n'],
    [['version', '-w', 'j'], 'fields\njson\nprotobuf\nsimple\ntable\n:0\n'],
    [['completion', 'b'], 'bash\n:4\n'],
    [['bogus', ''], ':0\n'],
  ])('proposes what may follow %j', async (words, proposals) => {
    expect(await say('__complete', ...words)).toEqual({ code: 0, stdout: proposals, stderr: '' });
  });

  it.each(['bash', 'zsh', 'fish', 'powershell'])('has a script for %s', async (shell) => {
    const { code, stdout } = await say('completion', shell);
    expect(code).toBe(0);
    expect(stdout).toContain('__complete');
  });
});

describe('a size for a reader', () => {
  it.each([
    [0, '0 B'],
    [9, '9 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [20_480, '20 kB'],
    [40_960, '41 kB'],
    [1_050_000, '1.1 MB'],
    [2_147_483_648, '2.1 GB'],
  ])('of %d bytes is %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text));
});

describe('migrate', () => {
  it('finds what is asked for already, and refuses the rest', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'etcdutl-'));
    try {
      const engine = await LevelEngine.open(join(dir, 'member/snap/db'));
      await engine.write([{ key: metaRows.storageVersion, value: Buffer.from('3.7.0') }]);
      await engine.close();
      const to = (version: string) =>
        say('migrate', '--data-dir', dir, '--target-version', version);
      expect((await to('3.7')).stderr).toMatch(
        /storage version up-to-date\t\{"storage-version": "3\.7"\}\n$/,
      );
      expect(await to('3.6')).toMatchObject({
        code: 1,
        stderr: 'Error: a database of storage version "3.7" cannot be migrated to "3.6"\n',
      });
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
