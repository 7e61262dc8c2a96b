/**
 * Go's sort.Sort, which is not stable: where elements compare as equal, the order in which it
 * leaves them is part of what etcd stores and answers, so it is met exactly. It is a quicksort that
 * defeats patterns: insertion for short ranges, a guess at what is sorted already, and heapsort
 * when the pivots were bad too often. Everything in it is determined by the length and the
 * comparisons.
 *
 * It knows nothing of what is sorted. Where ties cannot occur, Array.sort is the better choice.
 */

type Less<T> = (a: T, b: T) => boolean;

/** Elements that are sorted by insertion. */
const INSERTION_MAX = 12;
/** Elements from which a pivot is the median of three, and of three medians. */
const MEDIAN_MIN = 8;
const NINTHER_MIN = 50;
/** Exchanges that all nine make when they are in falling order. */
const SWAPS_FALLING = 12;
/** Neighbours that may be out of order in what is taken for nearly sorted. */
const REPAIRS_MAX = 5;
const REPAIR_LENGTH_MIN = 50;

/** Sorts in place. */
export function goSort<T>(items: T[], less: Less<T>): void {
  if (items.length < 2) return;
  new Sorter(items, less).sort(0, items.length, bitLength(items.length));
}

/** Ranges are [from, to). */
class Sorter<T> {
  readonly #items: T[];
  readonly #lessItem: Less<T>;

  constructor(items: T[], less: Less<T>) {
    this.#items = items;
    this.#lessItem = less;
  }

  /** `limit`: bad pivots that are still put up with. */
  sort(from: number, to: number, limit: number): void {
    let balanced = true;
    let partitioned = true;
    for (;;) {
      const length = to - from;
      if (length <= INSERTION_MAX) return this.#insert(from, to);
      if (limit === 0) return this.#heapSort(from, to);
      if (!balanced) {
        this.#shuffle(from, to);
        limit--;
      }
      const { pivot, rising } = this.#choosePivot(from, to);
      if (balanced && partitioned && rising && this.#repair(from, to)) return;
      if (from > 0 && !this.#less(from - 1, pivot)) {
        // Nothing is smaller than the pivot, so those equal to it are in place together.
        from = this.#partitionEqual(from, to, pivot);
        continue;
      }
      const { middle, untouched } = this.#partition(from, to, pivot);
      partitioned = untouched;
      const [left, right] = [middle - from, to - middle];
      balanced = Math.min(left, right) >= Math.floor(length / 8);
      if (left < right) {
        this.sort(from, middle, limit);
        from = middle + 1;
      } else {
        this.sort(middle + 1, to, limit);
        to = middle;
      }
    }
  }

  #less(i: number, j: number): boolean {
    return this.#lessItem(this.#items[i] as T, this.#items[j] as T);
  }

  #swap(i: number, j: number): void {
    const items = this.#items;
    const kept = items[i] as T;
    items[i] = items[j] as T;
    items[j] = kept;
  }

  #insert(from: number, to: number): void {
    for (let i = from + 1; i < to; i++) this.#sink(i, from);
  }

  /** Moves an element to the left, past all that are greater. */
  #sink(at: number, first: number): void {
    for (let i = at; i > first && this.#less(i, i - 1); i--) this.#swap(i, i - 1);
  }

  #heapSort(from: number, to: number): void {
    const size = to - from;
    for (let root = (size - 1) >> 1; root >= 0; root--) this.#siftDown(root, size, from);
    for (let last = size - 1; last >= 0; last--) {
      this.#swap(from, from + last);
      this.#siftDown(0, last, from);
    }
  }

  #siftDown(root: number, size: number, from: number): void {
    for (;;) {
      let child = 2 * root + 1;
      if (child >= size) return;
      if (child + 1 < size && this.#less(from + child, from + child + 1)) child++;
      if (!this.#less(from + root, from + child)) return;
      this.#swap(from + root, from + child);
      root = child;
    }
  }

  /** Breaks what made the pivots bad, the same way for the same length. */
  #shuffle(from: number, to: number): void {
    const length = to - from;
    if (length < MEDIAN_MIN) return;
    const mask = (1n << BigInt(bitLength(length))) - 1n;
    let state = BigInt(length);
    const middle = from + Math.floor(length / 4) * 2;
    for (let i = middle - 1; i <= middle + 1; i++) {
      state ^= BigInt.asUintN(64, state << 13n);
      state ^= state >> 7n;
      state ^= BigInt.asUintN(64, state << 17n);
      const other = Number(state & mask);
      this.#swap(i, from + (other >= length ? other - length : other));
    }
  }

  /** Turns the range round when it seems to fall. */
  #choosePivot(from: number, to: number): { readonly pivot: number; readonly rising: boolean } {
    const length = to - from;
    const quarter = Math.floor(length / 4);
    let places = [1, 2, 3].map((times) => from + quarter * times);
    let swaps = 0;
    const median = ([a = 0, b = 0, c = 0]: readonly number[]): number => {
      const order = (x: number, y: number): readonly [number, number] => {
        if (!this.#less(y, x)) return [x, y];
        swaps++;
        return [y, x];
      };
      const [low, high] = order(a, b);
      const [between] = order(high, c);
      return order(low, between)[1];
    };
    if (length >= NINTHER_MIN)
      places = places.map((place) => median([place - 1, place, place + 1]));
    const pivot = length >= MEDIAN_MIN ? median(places) : (places[1] ?? from);
    if (swaps !== SWAPS_FALLING) return { pivot, rising: swaps === 0 };
    this.#items.splice(from, length, ...this.#items.slice(from, to).reverse());
    return { pivot: to - 1 - (pivot - from), rising: true };
  }

  /** Whether a few moves have sorted the range. */
  #repair(from: number, to: number): boolean {
    let i = from + 1;
    for (let repairs = 0; repairs < REPAIRS_MAX; repairs++) {
      while (i < to && !this.#less(i, i - 1)) i++;
      if (i === to) return true;
      if (to - from < REPAIR_LENGTH_MIN) return false;
      this.#swap(i, i - 1);
      // etcd: Go looks to the left beyond the range here, where everything is smaller or equal.
      if (i - from >= 2) this.#sink(i - 1, 0);
      if (to - i >= 2)
        for (let j = i + 1; j < to && this.#less(j, j - 1); j++) this.#swap(j, j - 1);
    }
    return false;
  }

  /** Smaller ones to the left of the pivot; `untouched` when they were there already. */
  #partition(from: number, to: number, pivot: number) {
    this.#swap(from, pivot);
    let i = from + 1;
    let j = to - 1;
    for (let untouched = true; ; untouched = false) {
      while (i <= j && this.#less(i, from)) i++;
      while (i <= j && !this.#less(j, from)) j--;
      if (i > j) {
        this.#swap(j, from);
        return { middle: j, untouched };
      }
      this.#swap(i++, j--);
    }
  }

  /** Those equal to the pivot to the left; where the greater ones begin. */
  #partitionEqual(from: number, to: number, pivot: number): number {
    this.#swap(from, pivot);
    let i = from + 1;
    let j = to - 1;
    for (;;) {
      while (i <= j && !this.#less(from, i)) i++;
      while (i <= j && this.#less(from, j)) j--;
      if (i > j) return i;
      this.#swap(i++, j--);
    }
  }
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}
