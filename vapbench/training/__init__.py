"""LoRAs per condition, at any size, and what every training shares.

    lora, lora_run   an adapter per condition on a frozen base; examples, its clips
    loop             the training loop: seeded, resumable, averaged; plan, optimiser, progress, curves
    latents          cached latents of clips; data, the mini suite's clips; prompts, their captions
    attention        plain attention for tiny models on a CPU
    contact_sheets   clips as rows of frames

The mini suite's checkpoints are trained by the recipe in ``baselines/mini``.
"""
