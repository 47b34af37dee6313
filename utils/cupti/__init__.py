"""CUPTI for Python: the bridge (`cupti.cpp`, built by `./build_cupti.sh`) and what is made of it."""
