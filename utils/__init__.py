"""Small tools and the CUPTI bridge (`cupti.cpp`, built by `./build_cupti.sh`)."""
