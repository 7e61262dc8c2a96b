// A machine to install packages on: this one's files with a layer of its own over them, and a
// network of its own, so that ports and accounts are free. It is gone when its holder ends. Needs
// root.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Program, type ProgramOptions } from '../support/program.ts';

const run = promisify(execFile);
const COMMAND_MS_MAX = 120_000;

/** `$1` is an empty folder. */
const HOLDER = `set -e
mount --make-rprivate /
mount -t tmpfs layers "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs run "$1/root/run"
mount -t tmpfs tmp "$1/root/tmp"
chmod 1777 "$1/root/tmp"
ip link set lo up
exec chroot "$1/root" sh -c 'echo holding; exec sleep infinity'
`;

export class Sandbox {
  readonly #holder: Program;

  private constructor(holder: Program) {
    this.#holder = holder;
  }

  static async open(folder: string): Promise<Sandbox> {
    const holder = new Program(['unshare', '--mount', '--net', 'sh', '-c', HOLDER, 'sh', folder]);
    await holder.saw('holding\n');
    return new Sandbox(holder);
  }

  /** A process whose namespaces are those of the machine. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** A command as it must be started here to run there, with the same process id. */
  enter(command: readonly string[]): readonly string[] {
    const target = `--target=${this.#holder.pid}`;
    const inside = ['nsenter', target, '--mount', '--net', '--root', '--'];
    return [...inside, '/usr/bin/env', '--chdir=/', ...command];
  }

  /** What a shell script says on stdout; rejects, with what it said, when it fails. */
  async sh(script: string): Promise<string> {
    const [file = '', ...args] = this.enter(['bash', '-c', `set -eu\n${script}`]);
    const { PATH = '' } = process.env;
    const env = { PATH, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    const { stdout } = await run(file, args, { timeout: COMMAND_MS_MAX, env });
    return stdout.trim();
  }

  start(command: readonly string[], options: ProgramOptions = {}): Program {
    return new Program(this.enter(command), options);
  }

  /** Puts a file there. */
  async copy(from: string, to: string): Promise<void> {
    const root = `/proc/${this.#holder.pid}/root`;
    await run('cp', [from, `${root}${to}`]);
  }

  close(): Promise<void> {
    return this.#holder.close();
  }
}
