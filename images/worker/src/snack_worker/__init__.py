"""The GPU worker: takes RunPod jobs, checks their ticket, has 美砂樹ママ answer through an OpenAI-compatible engine."""
