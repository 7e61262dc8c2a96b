// `npm run fuzz -- [--seeds A-B] [--seconds N] [--targets a,b] [--tls] [--out FILE]`. Bundles the
// fuzzer, so that Node can run it; needs a build of the product.

import { join } from 'node:path';
import { load } from '../sim/bundle.mjs';

const root = join(import.meta.dirname, '../..');
const self = join(import.meta.dirname, 'run.mjs');
const { main } = await load('../fuzz/main.ts');
// Connections that were broken on purpose must not keep the process.
process.exit(await main({ root, self, args: process.argv.slice(2) }));
