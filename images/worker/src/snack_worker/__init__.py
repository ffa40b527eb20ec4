"""GPU worker: takes RunPod jobs, checks their tickets and answers as 美砂樹ママ through an OpenAI-compatible engine."""
