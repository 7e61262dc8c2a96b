/** Prometheus' text format 0.0.4 as Go's client writes it. */

import { type Families, type Family, goFloat } from './instruments.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

export function renderFamilies(families: Families): string {
  return families.all().map(familyText).join('');
}

function familyText({ name, help, type, samples }: Family): string {
  const found = samples();
  if (found.length === 0) return '';
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  let text = `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n`;
  for (const { suffix, labels, value } of found) {
    const braces = labels === '' ? '' : `{${labels}}`;
    text += `${name}${suffix}${braces} ${goFloat(value)}\n`;
  }
  return text;
}
