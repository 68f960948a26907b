"""Networks that are only evaluated: every rank in one call, or one rank as fast as it goes. Float32 and float64."""

from nsn_ref.inference.all_ranks import RankScores, logits_at_ranks, scores_at_ranks
from nsn_ref.inference.one_rank import MultipliedOut, Predictor, multiplied_out

__all__ = ["MultipliedOut", "Predictor", "RankScores", "logits_at_ranks", "multiplied_out", "scores_at_ranks"]
