# SPDX-License-Identifier: GPL-2.0
# The devices of the rig's QEMU, beside what the machine q35 selects by itself: each is one more that a machine profile,
# a suite or a test of the device plugs.

CONFIG_Q35=y
# The tests of the device have it on a conventional bus, too.
CONFIG_I440FX=y
CONFIG_MICROVM=n

CONFIG_EDGPU=y
CONFIG_BOCHS_DISPLAY=y
CONFIG_QXL=y
CONFIG_VIRTIO_GPU=y

# pcie-pci-bridge does not link without it.
CONFIG_PCI_BRIDGE=y
CONFIG_PCIE_PORT=y
CONFIG_PCIE_PCI_BRIDGE=y
CONFIG_PXB=n
CONFIG_CXL=n

CONFIG_VTD=y
CONFIG_AMD_IOMMU=y
CONFIG_VIRTIO_IOMMU=y

CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_9P=y
CONFIG_PVPANIC_PCI=y
