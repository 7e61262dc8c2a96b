// `npm run sim -- --seed N [--verbose]` or `--seeds A-B [--out FILE]`, and with `--broken "<rule>"`
// the same with one of the rules in `mutations.mjs` broken.

import { load } from './bundle.mjs';
import { mutations } from './mutations.mjs';

process.setSourceMapsEnabled(true);
const args = process.argv.slice(2);
const at = args.indexOf('--broken');
const [, rule] = at < 0 ? [] : args.splice(at, 2);
if (rule !== undefined && mutations[rule] === undefined) {
  throw new Error(`the rules are: ${Object.keys(mutations).join('; ')}`);
}
const { main } = await load('main.ts', rule === undefined ? [] : mutations[rule]);
process.exitCode = await main(args);
