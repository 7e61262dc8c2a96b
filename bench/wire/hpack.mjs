// HPACK (RFC 7541) for the load generator: a complete decoder, and an encoder that indexes every
// field the way real gRPC clients do, so that the second request on a connection is a few bytes.
// Invariant: both dynamic tables follow the peer's insertions exactly; anything this file does not
// understand throws, because a table that is off by one would misread every later answer.
// It refuses to know HTTP/2 frames and gRPC.

const TABLE_BYTES_MAX = 4096;
const ENTRY_OVERHEAD_BYTES = 32; // RFC 7541, 4.1.

// RFC 7541, appendix A, as "name" or "name=value".
const STATIC_TABLE = (
  ':authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|' +
  ':status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|' +
  'accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|' +
  'access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|' +
  'content-encoding|content-language|content-length|content-location|content-range|content-type|' +
  'cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|' +
  'if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|' +
  'proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|' +
  'strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map((entry) => {
    const [name = '', value = ''] = entry.split('=');
    return { name, value };
  });

// RFC 7541, appendix B: the code is canonical, so the length of each symbol's code (one base-32
// digit for each octet 0..255) determines it.
const HUFFMAN_LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq';
const HUFFMAN_LENGTH_MIN = 5;
const HUFFMAN_LENGTH_MAX = 30;

/** For each code length: the first code, and the symbols in code order. */
const HUFFMAN = (() => {
  const lengths = [...HUFFMAN_LENGTHS].map((digit) => Number.parseInt(digit, 32));
  const table = [];
  let code = 0;
  for (let length = 0; length <= HUFFMAN_LENGTH_MAX; length++) {
    const symbols = lengths.flatMap((each, symbol) => (each === length ? [symbol] : []));
    code *= 2;
    table.push({ first: code, symbols });
    code += symbols.length;
  }
  return table;
})();

/**
 * @param {Buffer} buffer
 * @param {number} start
 * @param {number} end
 */
function decodeHuffman(buffer, start, end) {
  let text = '';
  let code = 0;
  let length = 0;
  for (let bit = start * 8; bit < end * 8; bit++) {
    code = code * 2 + ((buffer[bit >> 3] >> (7 - (bit & 7))) & 1);
    length++;
    if (length > HUFFMAN_LENGTH_MAX) throw new Error('hpack: bad Huffman code');
    if (length < HUFFMAN_LENGTH_MIN) continue;
    const { first, symbols } = HUFFMAN[length];
    const symbol = symbols[code - first];
    if (code < first || symbol === undefined) continue;
    text += String.fromCharCode(symbol);
    code = 0;
    length = 0;
  }
  // The padding is the start of the end-of-string symbol: fewer than eight one bits.
  if (length > 7 || code !== 2 ** length - 1) throw new Error('hpack: bad Huffman padding');
  return text;
}

/** The entries added by one side of a connection, newest first. */
class DynamicTable {
  /** @type {{ name: string, value: string }[]} */
  entries = [];
  #bytes = 0;
  #bytesMax = TABLE_BYTES_MAX;

  /** @param {number} bytesMax */
  resize(bytesMax) {
    if (bytesMax > TABLE_BYTES_MAX) throw new Error('hpack: table larger than announced');
    this.#bytesMax = bytesMax;
    this.#evict();
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  insert(name, value) {
    this.entries.unshift({ name, value });
    this.#bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.#evict();
  }

  #evict() {
    while (this.#bytes > this.#bytesMax) {
      const last = this.entries.pop();
      if (last === undefined) throw new Error('hpack: table size does not add up');
      this.#bytes -= last.name.length + last.value.length + ENTRY_OVERHEAD_BYTES;
    }
  }
}

export class HpackDecoder {
  #table = new DynamicTable();
  #position = 0;
  /** @type {Buffer} */
  #buffer = Buffer.alloc(0);

  /**
   * Decodes one complete header block.
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   * @param {(name: string, value: string) => void} onField
   */
  decode(buffer, start, end, onField) {
    this.#buffer = buffer;
    this.#position = start;
    while (this.#position < end) {
      const first = buffer[this.#position];
      if (first >= 0x80) {
        const entry = this.#entry(this.#integer(7));
        onField(entry.name, entry.value);
      } else if (first >= 0x40) {
        const { name, value } = this.#literal(6);
        this.#table.insert(name, value);
        onField(name, value);
      } else if (first >= 0x20) {
        this.#table.resize(this.#integer(5));
      } else {
        const { name, value } = this.#literal(4);
        onField(name, value);
      }
    }
    if (this.#position !== end) throw new Error('hpack: header block ends inside a field');
  }

  /** @param {number} index */
  #entry(index) {
    const entry =
      index <= STATIC_TABLE.length
        ? STATIC_TABLE[index - 1]
        : this.#table.entries[index - STATIC_TABLE.length - 1];
    if (entry === undefined) throw new Error(`hpack: no entry ${index}`);
    return entry;
  }

  /** @param {number} prefixBits */
  #literal(prefixBits) {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    return { name, value: this.#string() };
  }

  /** @param {number} prefixBits */
  #integer(prefixBits) {
    const mask = 2 ** prefixBits - 1;
    let value = this.#buffer[this.#position++] & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const octet = this.#buffer[this.#position++];
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw new Error('hpack: integer too long');
  }

  #string() {
    const huffman = this.#buffer[this.#position] >= 0x80;
    const length = this.#integer(7);
    const start = this.#position;
    this.#position += length;
    return huffman
      ? decodeHuffman(this.#buffer, start, start + length)
      : this.#buffer.toString('latin1', start, start + length);
  }
}

export class HpackEncoder {
  #table = new DynamicTable();
  #indexing = true;
  #announceSize = false;

  /** Changes of the table so far: an encoded block stays valid while this stands still. */
  insertions = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Below the default nothing is indexed at all. */
  limitTable(/** @type {number} */ bytesMax) {
    if (bytesMax >= TABLE_BYTES_MAX || !this.#indexing) return;
    this.#indexing = false;
    this.#announceSize = true;
    this.#table.resize(0);
    this.insertions++;
  }

  /** @param {readonly (readonly [string, string])[]} fields */
  encode(fields) {
    /** @type {Buffer[]} */
    const parts = [];
    if (this.#announceSize) {
      parts.push(Buffer.of(0x20));
      this.#announceSize = false;
      this.insertions++;
    }
    for (const [name, value] of fields) parts.push(...this.#field(name, value));
    return Buffer.concat(parts);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #field(name, value) {
    const fixed = STATIC_TABLE.findIndex((each) => each.name === name && each.value === value);
    if (fixed >= 0) return [Buffer.of(0x80 | (fixed + 1))];
    const own = this.#table.entries.findIndex((each) => each.name === name && each.value === value);
    if (own >= 0) return [Buffer.of(0x80 | (STATIC_TABLE.length + 1 + own))];
    const named = STATIC_TABLE.findIndex((each) => each.name === name) + 1;
    const parts = [prefixed(this.#indexing ? 0x40 : 0, this.#indexing ? 6 : 4, named)];
    if (named === 0) parts.push(...plainString(name));
    parts.push(...plainString(value));
    if (this.#indexing) {
      this.#table.insert(name, value);
      this.insertions++;
    }
    return parts;
  }
}

/**
 * @param {number} flags
 * @param {number} bits
 * @param {number} value
 */
function prefixed(flags, bits, value) {
  const mask = 2 ** bits - 1;
  if (value < mask) return Buffer.of(flags | value);
  if (value - mask > 127) throw new Error('hpack: too long to encode here');
  return Buffer.of(flags | mask, value - mask);
}

/** @param {string} text */
function plainString(text) {
  return [prefixed(0, 7, text.length), Buffer.from(text, 'latin1')];
}
