// `npm run sim -- --seed N [--verbose]` or `--seeds A-B`.

import { load } from './bundle.mjs';

process.setSourceMapsEnabled(true);
const { main } = await load('main.ts');
process.exitCode = await main(process.argv.slice(2));
