/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edgpu: registers, ring format and constants of the emulated dGPU.
 *
 * The single source: the QEMU device, the guest driver and the TypeScript
 * qtest client all take their numbers from this file (the last one by parsing
 * the #defines, so keep each on one line and free of other macros' values
 * except through EDGPU_BIT()). What each register does is in edgpu.md.
 *
 * All values are little-endian. "q" registers are 64 bits wide and may be
 * accessed as one 8-byte or two 4-byte accesses, low half first; all others
 * are 32 bits wide.
 */
#ifndef EDGPU_REGS_H
#define EDGPU_REGS_H

#define EDGPU_BIT(n)			(1u << (n))

/* PCI identity: the documented experimental range of Red Hat / QEMU ids. */
#define EDGPU_PCI_VENDOR_ID		0x1af4
#define EDGPU_PCI_DEVICE_ID		0x10f0

#define EDGPU_BAR_REGS			0
#define EDGPU_BAR_VRAM			2
#define EDGPU_BAR_MSIX			4
#define EDGPU_REGS_SIZE			0x10000

/* MSI-X: vector 0 is for faults, vector 1 + n for the fences of engine n. */
#define EDGPU_VECTOR_FAULT		0
#define EDGPU_VECTOR_ENGINE		1

/* Global registers, offsets in BAR 0. */
#define EDGPU_REG_ID			0x0000	/* ro: EDGPU_ID */
#define EDGPU_REG_VERSION		0x0004	/* ro: EDGPU_VERSION */
#define EDGPU_REG_ENGINES		0x0008	/* ro: number of engines */
#define EDGPU_REG_DMA_BITS		0x000c	/* ro: width of a reachable address */
#define EDGPU_REG_VRAM_SIZE		0x0010	/* ro q: bytes */
#define EDGPU_REG_APERTURE_SIZE		0x0018	/* ro q: bytes of VRAM behind BAR 2 */
#define EDGPU_REG_VRAM_GENERATION	0x0020	/* ro: 1 at power-on, counts losses of VRAM */
#define EDGPU_REG_SCRATCH		0x0024	/* rw */
#define EDGPU_REG_IRQ_STATUS		0x0028	/* rw1c: EDGPU_IRQ_* */
#define EDGPU_REG_IRQ_ENABLE		0x002c	/* rw: EDGPU_IRQ_* */
#define EDGPU_REG_DISPLAYS		0x0030	/* ro: number of displays, 0 or 1 */

#define EDGPU_ID			0x55504745	/* "EGPU" */
#define EDGPU_VERSION			1

#define EDGPU_IRQ_FENCE_SHIFT		0	/* + n: a fence of engine n completed */
#define EDGPU_IRQ_FAULT_SHIFT		16	/* + n: engine n stopped on a fault */

/* Engine n's registers: EDGPU_ENGINE_BASE + n * EDGPU_ENGINE_STRIDE + offset. */
#define EDGPU_MAX_ENGINES		4
#define EDGPU_ENGINE_BASE		0x1000
#define EDGPU_ENGINE_STRIDE		0x100

#define EDGPU_ENG_RING_BASE		0x00	/* rw q: DMA address, 64-byte aligned */
#define EDGPU_ENG_RING_SIZE		0x08	/* rw: slots, a power of two up to EDGPU_MAX_SLOTS; 0 is off */
#define EDGPU_ENG_CONTROL		0x0c	/* wo: EDGPU_CONTROL_* */
#define EDGPU_ENG_HEAD			0x10	/* ro: slot being executed */
#define EDGPU_ENG_TAIL			0x14	/* rw: first slot not yet filled; writing it is the doorbell */
#define EDGPU_ENG_STATUS		0x18	/* ro: EDGPU_STATUS_* */
#define EDGPU_ENG_FENCE			0x20	/* ro q: value of the last fence completed */
#define EDGPU_ENG_FAULT_KIND		0x28	/* ro: EDGPU_FAULT_* */
#define EDGPU_ENG_FAULT_SLOT		0x2c	/* ro: slot of the faulting command */
#define EDGPU_ENG_FAULT_ADDR		0x30	/* ro q: first offending address (or VRAM offset, opcode, tail) */
#define EDGPU_ENG_FAULT_COUNT		0x38	/* ro: faults since the device was reset */

#define EDGPU_MAX_SLOTS			4096
#define EDGPU_CONTROL_RESET		0x1	/* clear ring, head, tail and fault; keep VRAM and fence */
#define EDGPU_STATUS_BUSY		0x1	/* head != tail and no fault */
#define EDGPU_STATUS_FAULT		0x2	/* stopped on a fault until reset */

/* The display's registers: EDGPU_DISPLAY_BASE + offset; none without one. */
#define EDGPU_DISPLAY_BASE		0x2000

#define EDGPU_DISP_CONTROL		0x00	/* rw: EDGPU_DISP_ENABLE; a write takes over all that is rw below */
#define EDGPU_DISP_WIDTH		0x04	/* rw: pixels, 1 to EDGPU_MAX_DISP_SIZE */
#define EDGPU_DISP_HEIGHT		0x08	/* rw: likewise */
#define EDGPU_DISP_STRIDE		0x0c	/* rw: bytes from line to line, up to EDGPU_MAX_DISP_STRIDE */
#define EDGPU_DISP_NENTS		0x10	/* rw: entries of the scatter list; 0: the frame is in one piece */
#define EDGPU_DISP_FAULT_COUNT		0x14	/* ro: faults since the device was reset */
#define EDGPU_DISP_BASE			0x18	/* rw q: DMA address of the scatter list, or of the frame */
#define EDGPU_DISP_FAULT_KIND		0x20	/* ro: EDGPU_FAULT_* since the last write to CONTROL */
#define EDGPU_DISP_FAULT_ADDR		0x28	/* ro q: first offending address */

#define EDGPU_DISP_ENABLE		0x1	/* a pixel is 4 bytes: blue, green, red, and one that is ignored */
#define EDGPU_MAX_DISP_SIZE		4096
#define EDGPU_MAX_DISP_STRIDE		0x4000

/* A fault stops its engine; nothing is ever clamped, wrapped or skipped. */
#define EDGPU_FAULT_NONE		0
#define EDGPU_FAULT_DMA_LIMIT		1	/* address above dma-bits */
#define EDGPU_FAULT_DMA_HOLE		2	/* nothing, or no memory, answers there */
#define EDGPU_FAULT_IOMMU		3	/* the vIOMMU refused the access */
#define EDGPU_FAULT_BUS_MASTER		4	/* bus mastering is off */
#define EDGPU_FAULT_POWER		5	/* the function is not in D0 */
#define EDGPU_FAULT_VRAM_RANGE		6	/* beyond the end of VRAM */
#define EDGPU_FAULT_BAD_COMMAND		7	/* opcode, flags, length or reserved bits */
#define EDGPU_FAULT_RING_OVERRUN	8	/* tail out of range, or taking submitted slots back */
#define EDGPU_FAULT_HARDWARE		9	/* the engine failed by itself: on demand of the host */
#define EDGPU_FAULT_KINDS		10

/*
 * One ring slot, EDGPU_CMD_SIZE bytes:
 *   0x00 u32 opcode      EDGPU_OP_*
 *   0x04 u32 flags       EDGPU_FLAG_*
 *   0x08 u64 src         DMA address, VRAM offset, or DMA address of a scatter list
 *   0x10 u64 dst         likewise
 *   0x18 u64 len         bytes
 *   0x20 u32 src_nents   entries of the scatter list, with EDGPU_FLAG_SRC_SG
 *   0x24 u32 dst_nents   likewise
 *   0x28 u64 value       fill pattern, fence value, checksum seed
 *   0x30 u64 reserved[2] zero
 *
 * A scatter list is an array in system memory of EDGPU_SG_SIZE-byte entries:
 *   0x00 u64 addr        DMA address; VRAM offset with EDGPU_FLAG_*_VRAM too
 *   0x08 u64 len         bytes, not zero; the entries add up to the command's len
 */
#define EDGPU_CMD_SIZE			64
#define EDGPU_CMD_OPCODE		0x00
#define EDGPU_CMD_FLAGS			0x04
#define EDGPU_CMD_SRC			0x08
#define EDGPU_CMD_DST			0x10
#define EDGPU_CMD_LEN			0x18
#define EDGPU_CMD_SRC_NENTS		0x20
#define EDGPU_CMD_DST_NENTS		0x24
#define EDGPU_CMD_VALUE			0x28
#define EDGPU_CMD_RESERVED		0x30

#define EDGPU_SG_SIZE			16
#define EDGPU_SG_ADDR			0x00
#define EDGPU_SG_LEN			0x08
#define EDGPU_MAX_SG_ENTRIES		65536

#define EDGPU_OP_NOP			0
#define EDGPU_OP_COPY			1	/* src to dst, as memmove() */
#define EDGPU_OP_FILL			2	/* value, 8 bytes, repeated over dst; len a multiple of 8 */
#define EDGPU_OP_CHECKSUM		3	/* XXH64(src, len, seed value), 8 bytes, to dst */
#define EDGPU_OP_FENCE			4	/* value to ENG_FENCE, and to dst with EDGPU_FLAG_WRITEBACK */
#define EDGPU_OPS			5

#define EDGPU_FLAG_SRC_VRAM		EDGPU_BIT(0)
#define EDGPU_FLAG_DST_VRAM		EDGPU_BIT(1)
#define EDGPU_FLAG_SRC_SG		EDGPU_BIT(2)
#define EDGPU_FLAG_DST_SG		EDGPU_BIT(3)
#define EDGPU_FLAG_WRITEBACK		EDGPU_BIT(4)	/* fence: also write 8 bytes to dst */
#define EDGPU_FLAG_IRQ			EDGPU_BIT(5)	/* fence: raise EDGPU_IRQ_FENCE */

#define EDGPU_MAX_LEN			0x400000000ull	/* 16 GiB a command */

#endif /* EDGPU_REGS_H */
