/**
 * The devices of a machine beside ours: a driver that refuses a suspend, or fails half-way, must not cost the machine
 * its disk, its network or its clock.
 */
import { createHash } from 'node:crypto';
import { randomNumbers } from '../../util/random.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Guest } from '../guest/guest.ts';
import { only } from './dma-witnesses.ts';

const DISK = '/dev/vda';
const MIB = 2 ** 20;

type DeviceComplaint =
  | 'disk: content is not what it was'
  | 'disk: content is not what was written'
  | 'network: content is not what was sent'
  | 'random numbers: none'
  | 'clock: stands still'
  | 'PCI: not as it was';

/** Driver, power state, whether it may answer and access memory (the command register), and where it answers (BARs). */
const PCI_STATE = [
  'for d in /sys/bus/pci/devices/*',
  'do driver=$(basename "$(readlink $d/driver)")',
  '[ "$driver" != edgpu ] || continue',
  'echo ${d##*/} $driver $(cat $d/power_state) $(od -An -tx2 -j4 -N2 $d/config) $(od -An -tx4 -j16 -N24 $d/config)',
  'done',
].join('; ');

export class OtherDevices {
  readonly #vm: Vm;
  readonly #guest: Guest;
  readonly #random: () => number;
  readonly #atMiB: number;
  #onDisk = '';
  #pci = '';
  #clock = NaN;

  private constructor(vm: Vm, guest: Guest, { seed, atMiB }: { seed: number; atMiB: number }) {
    this.#vm = vm;
    this.#guest = guest;
    this.#random = randomNumbers(seed);
    this.#atMiB = atMiB;
  }

  /** The MiB of the disk that begins there must be nobody else's, and the disk no swap, which nobody may write to. */
  static async meet(vm: Vm, guest: Guest, options: { seed: number; atMiB: number }): Promise<OtherDevices> {
    const devices = new OtherDevices(vm, guest, options);
    devices.#pci = await guest.run(PCI_STATE);
    devices.#clock = await devices.#readClock();
    devices.#onDisk = digest(await devices.#send());
    await devices.#store();
    return devices;
  }

  /** What does not work, or is not as it was; empty is good. Each time with new content. */
  async complaints(): Promise<DeviceComplaint[]> {
    const [expected, before] = [this.#onDisk, await this.#stored()];
    const sent = digest(await this.#send());
    const arrived = (await this.#guest.run('sha256sum /run/content')).slice(0, sent.length);
    await this.#store();
    this.#onDisk = sent;
    const [clock, pci] = [await this.#readClock(), await this.#guest.run(PCI_STATE)];
    const complaints = only<DeviceComplaint>({
      'disk: content is not what it was': before !== expected,
      'disk: content is not what was written': (await this.#stored()) !== sent,
      'network: content is not what was sent': arrived !== sent,
      'random numbers: none': !(await this.#givesRandomNumbers()),
      'clock: stands still': !(clock > this.#clock),
      'PCI: not as it was': pci !== this.#pci,
    });
    this.#clock = clock;
    return complaints;
  }

  /** By the network, to a file. */
  async #send(): Promise<Buffer> {
    const content = Buffer.from(Uint8Array.from({ length: MIB }, () => Math.floor(this.#random() * 256)));
    await this.#vm.putFile('/run/content', content);
    return content;
  }

  /** From there to the disk, and back from it, past the page cache. */
  async #store(): Promise<void> {
    await this.#guest.run(`dd if=/run/content of=${DISK} bs=1M seek=${String(this.#atMiB)} oflag=direct`);
  }

  async #stored(): Promise<string> {
    const read = `dd if=${DISK} bs=1M count=1 skip=${String(this.#atMiB)} iflag=direct 2> /dev/null`;
    return (await this.#guest.run(`${read} | sha256sum`)).split(' ')[0] ?? '';
  }

  async #readClock(): Promise<number> {
    return Number(await this.#guest.read('/sys/class/rtc/rtc0/since_epoch'));
  }

  /** As many bytes as were asked for, and not the same twice. */
  async #givesRandomNumbers(): Promise<boolean> {
    const read = 'head -c 32 /dev/hwrng | od -An -v -tx1 | tr -d " \\n"';
    const { stdout } = await this.#guest.exec(`${read}; echo; ${read}`);
    const [first = '', second = ''] = stdout.split('\n');
    return first.length === 64 && second.length === 64 && first !== second;
  }
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
