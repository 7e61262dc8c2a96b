// Makes one module of the simulation and everything of the product that it runs, so that Node can
// run it; for the control by mutation with a rule of the product broken on the way.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

/**
 * A change of one source file: `from` stands in it exactly once.
 * @typedef {{ readonly file: string, readonly from: string, readonly to: string }} Patch
 */

/**
 * @param {string} entry a file in this folder
 * @param {readonly Patch[]} [patches]
 * @returns {Promise<Record<string, unknown>>} what the entry exports
 */
export async function load(entry, patches = []) {
  const applied = new Set();
  const dir = await mkdtemp(join(tmpdir(), 'sim-'));
  try {
    const bundle = await rolldown({
      input: join(import.meta.dirname, entry),
      platform: 'node',
      checks: { sourcemapBroken: false },
      plugins: [
        {
          name: 'patches',
          /** @param {string} code @param {string} id */
          transform(code, id) {
            let text = code;
            for (const patch of patches) {
              if (!id.replaceAll('\\', '/').endsWith(patch.file)) continue;
              if (text.split(patch.from).length !== 2) {
                throw new Error(`"${patch.from}" does not stand once in ${patch.file}`);
              }
              text = text.replace(patch.from, () => patch.to);
              applied.add(patch);
            }
            return text === code ? null : text;
          },
        },
      ],
    });
    await bundle.write({ dir, format: 'esm', entryFileNames: 'sim.mjs', sourcemap: 'inline' });
    await bundle.close();
    if (applied.size !== patches.length) throw new Error('a file to change was not part of it');
    return await import(pathToFileURL(join(dir, 'sim.mjs')).href);
  } finally {
    await rm(dir, { recursive: true });
  }
}
