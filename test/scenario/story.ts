/**
 * Reads and rewrites scenario files. A file is a story: comments, then commands, then `----` and
 * what they printed, up to an empty line. All blocks of a file act on one world, in order.
 */

export interface Block {
  /** Comments and empty lines before the commands, verbatim. */
  readonly preamble: readonly string[];
  readonly commands: readonly string[];
  readonly output: string;
}

export interface Story {
  readonly blocks: readonly Block[];
  readonly postamble: readonly string[];
}

export function parseStory(text: string): Story {
  const blocks: Block[] = [];
  let preamble: string[] = [];
  let commands: string[] = [];
  const lines = text.replace(/\n+$/, '').split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line === '' && commands.length > 0) {
      // Commands without an output are a block that was never run: new stories start like that.
      blocks.push({ preamble, commands, output: '' });
      preamble = [];
      commands = [];
    } else if (line === '----') {
      const output: string[] = [];
      while (at + 1 < lines.length && lines[at + 1] !== '') output.push(lines[++at] ?? '');
      at++;
      blocks.push({ preamble, commands, output: output.join('\n') });
      preamble = [];
      commands = [];
    } else if (commands.length === 0 && (line === '' || line.startsWith('#'))) {
      preamble.push(line);
    } else {
      commands.push(line);
    }
  }
  if (commands.length > 0) {
    blocks.push({ preamble, commands, output: '' });
    preamble = [];
  }
  return { blocks, postamble: preamble };
}

export function printStory(story: Story): string {
  const lines: string[] = [];
  for (const { preamble, commands, output } of story.blocks) {
    lines.push(...preamble, ...commands, '----', output, '');
  }
  lines.push(...story.postamble);
  return `${lines.join('\n').trimEnd()}\n`;
}

/** The words of a command line, and its `name=value` words apart. */
export function parseCommand(line: string): {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
} {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const word of line.trim().split(/\s+/)) {
    const equals = word.indexOf('=');
    if (equals > 0) options.set(word.slice(0, equals), word.slice(equals + 1));
    else words.push(word);
  }
  return { words, options };
}
