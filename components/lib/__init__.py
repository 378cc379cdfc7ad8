"""Instruments that several stages hold: answers, prompts, engines, sandboxes, statistics. Never imports a stage."""
