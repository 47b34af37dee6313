"""The GPU's video engine through NVIDIA's driver: a C++ session that is called once for a run of packets.

`python -m nvvl.native.build` compiles it; without it PyNvVideoCodec is used, whose calls take Python's lock.
"""
