"""Experiments that leave sources of X-rays out, on one GPU with JAX: what helps at the next hospital?"""
