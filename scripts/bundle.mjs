// Puts each program into one file: loading some 180 small modules takes longer than everything else
// that a start does. The embedding API stays as modules, with its types beside it.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');

for (const program of ['etcd', 'etcdutl']) {
  const bundle = await rolldown({
    input: join(dist, `${program}.js`),
    platform: 'node',
    // What is installed beside us is loaded from there.
    external: ['bcrypt', 'classic-level', 'prom-client', 'yaml'],
  });
  const chunkFileNames = `${program}-[name].js`;
  await bundle.write({ dir: dist, format: 'esm', sourcemap: true, chunkFileNames });
  await bundle.close();
}
