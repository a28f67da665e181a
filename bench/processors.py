"""Environments in which compiler, oneDNN and PyTorch take the processor for a smaller one."""

AVX2 = {
    "CC": "cc -mno-avx512f",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
}
"""Registers of 8 lanes."""

SSE = {
    "CC": "cc -mno-avx",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
}
"""Registers of 4 lanes."""
