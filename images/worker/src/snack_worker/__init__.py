"""GPU worker: fetches RunPod jobs, checks their tickets and replies as 美砂樹ママ with an OpenAI-compatible engine."""
