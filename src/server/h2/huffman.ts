/**
 * The Huffman code of HPACK (RFC 7541, appendix B), decoding only: answers are sent uncoded.
 *
 * The code is canonical, so the lengths of the code words say everything. It is decoded four bits
 * at a time; the shortest code word has five, so a step yields at most one character.
 */

/** Bits of the code word of each byte, and of the end-of-string symbol, which is never sent. */
const CODE_LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const END_OF_STRING = 256;

// A transition: the next state in the low 8 bits, the character above it, then these flags.
const EMITS = 1 << 16;
const FAILS = 1 << 17;

interface Automaton {
  /** `state * 16 + nibble` to a transition. */
  readonly transitions: Int32Array;
  /** 1 for the states in which a string may end: nothing but at most seven ones is pending. */
  readonly accepting: Uint8Array;
}

const { transitions, accepting } = buildAutomaton();
const SCRATCH_BYTES = 8192;
const scratch = Buffer.alloc(SCRATCH_BYTES);

/** The text as latin1, or `null` when the code is malformed. */
export function decodeHuffman(block: Uint8Array, start: number, end: number): string | null {
  const expandedMax = Math.ceil(((end - start) * 8) / 5);
  const out = expandedMax <= SCRATCH_BYTES ? scratch : Buffer.alloc(expandedMax);
  let length = 0;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = block[i] ?? 0;
    const high = transitions[(state << 4) | (byte >>> 4)] ?? FAILS;
    if ((high & EMITS) !== 0) out[length++] = (high >>> 8) & 0xff;
    const low = transitions[((high & 0xff) << 4) | (byte & 15)] ?? FAILS;
    if ((low & EMITS) !== 0) out[length++] = (low >>> 8) & 0xff;
    if (((high | low) & FAILS) !== 0) return null;
    state = low & 0xff;
  }
  return accepting[state] === 1 ? out.toString('latin1', 0, length) : null;
}

/** Inner nodes are numbered from 0, the root; a leaf is `-1 - symbol`. */
function buildTree(): Int32Array {
  const tree = new Int32Array(2 * CODE_LENGTHS.length);
  const symbols = CODE_LENGTHS.map((_, symbol) => symbol);
  symbols.sort((a, b) => (CODE_LENGTHS[a] ?? 0) - (CODE_LENGTHS[b] ?? 0) || a - b);
  let nodes = 1;
  let code = 0;
  let bits = 0;
  for (const symbol of symbols) {
    const length = CODE_LENGTHS[symbol] ?? 0;
    code *= 2 ** (length - bits);
    bits = length;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = node * 2 + ((code >>> bit) & 1);
      if (tree[slot] === 0) tree[slot] = nodes++;
      node = tree[slot] ?? 0;
    }
    tree[node * 2 + (code & 1)] = -1 - symbol;
    code++;
  }
  return tree;
}

function buildAutomaton(): Automaton {
  const tree = buildTree();
  const states = CODE_LENGTHS.length - 1;
  const transitions = new Int32Array(states * 16);
  for (let state = 0; state < states; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      transitions[state * 16 + nibble] = transition(tree, state, nibble);
    }
  }
  const accepting = new Uint8Array(states);
  let node = 0;
  for (let depth = 0; depth <= 7; depth++) {
    accepting[node] = 1;
    node = tree[node * 2 + 1] ?? 0;
  }
  return { transitions, accepting };
}

function transition(tree: Int32Array, state: number, nibble: number): number {
  let node = state;
  let result = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = tree[node * 2 + ((nibble >>> bit) & 1)] ?? 0;
    if (next >= 0) {
      node = next;
      continue;
    }
    const symbol = -1 - next;
    result = symbol === END_OF_STRING ? FAILS : EMITS | (symbol << 8);
    node = 0;
  }
  return result | node;
}
