/** The three witnesses of a DMA test (guest, device, host), and the oracles that hold them against each other. */
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';
import type { SmokeReport } from '../programs/stress-program.ts';

/** What every program that verifies content says of it. */
type ContentReport = Pick<SmokeReport, 'ok' | 'mismatches' | 'bytesVerified' | 'checksumsVerified'>;

export interface DmaWitnesses {
  /** The guest: what its kernel counted since `before`. */
  readonly swiotlbBounces: number;
  readonly pswpout: number;
  readonly pswpin: number;
  /** The device: what it counted since it was created. */
  readonly deviceFaults: number;
  readonly maxDmaAddress: number;
  /** The host: fault events that arrived by QMP. */
  readonly faultEvents: number;
}

type Vmstat = ReadonlyMap<string, number>;

export async function hearWitnesses(guest: Guest, gpu: Gpu, before: Vmstat): Promise<DmaWitnesses> {
  const after = await guest.vmstat();
  const statistics = await gpu.statistics();
  const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  return {
    swiotlbBounces: await guest.swiotlbHighWater(),
    pswpout: grown('pswpout'),
    pswpin: grown('pswpin'),
    deviceFaults: statistics.faults,
    maxDmaAddress: statistics['max-dma-address'],
    // Asked for after the device's counter: QMP keeps the order, so every event it counted has arrived.
    faultEvents: gpu.faultEvents().length,
  };
}

type Complaint =
  | 'device-fault'
  | 'address-above-limit'
  | 'no-dma'
  | 'witnesses-disagree'
  | 'bounced'
  | 'not-swapped'
  | 'wrong-content';

/** What is wrong with the way the device reached memory; empty is good. */
export function dmaComplaints(witnesses: DmaWitnesses, dmaBits: number): Complaint[] {
  const { deviceFaults, maxDmaAddress, faultEvents, swiotlbBounces } = witnesses;
  return only<Complaint>({
    'device-fault': deviceFaults > 0,
    'address-above-limit': maxDmaAddress >= 2 ** dmaBits,
    // Nothing above the limit means little if there was nothing at all.
    'no-dma': maxDmaAddress === 0,
    'witnesses-disagree': deviceFaults !== faultEvents,
    bounced: swiotlbBounces > 0,
  });
}

/**
 * What is wrong with the swapping that the test is about: that of the objects' own pages, for others may be swapped as
 * well.
 */
export function swapComplaints({ pagesInSwap }: Pick<SmokeReport, 'pagesInSwap'>): Complaint[] {
  return only<Complaint>({ 'not-swapped': pagesInSwap === 0 });
}

/** What is wrong with the content that came back, by CPU and by the device's own checksum. */
export function contentComplaints(report: ContentReport, bytes: number): Complaint[] {
  const complete =
    report.ok && report.mismatches === 0 && report.bytesVerified >= bytes && report.checksumsVerified > 0;
  return only<Complaint>({ 'wrong-content': !complete });
}

/** The names of what was found. */
export function only<Name extends string>(findings: Partial<Record<Name, boolean>>): Name[] {
  return (Object.keys(findings) as Name[]).filter((name) => findings[name]);
}
