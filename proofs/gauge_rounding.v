From Coq Require Import Reals ZArith Lra List Lia.
From Flocq Require Import Core.
From nsn Require Import floating_point.
Local Open Scope R_scope.

(******************************************************************************)
(* A gauge of powers of the base changes no bit of the output (GAU-6), where  *)
(* nothing underflows or overflows: A's row i times beta^k, B's column i      *)
(* divided by it (np.ldexp(A[i], k), np.ldexp(B[:, i], -k)).                  *)
(*                                                                            *)
(*      scale k e == the tree e with its stored numbers times beta^k: h_i for *)
(*                   the scaled row a_i (a product holds the input x_j and a  *)
(*                   tree for the entry of a_i)                               *)
(*    gauged e e' == e' is e with the terms b_i h_i replaced by               *)
(*                   (b_i beta^-k) (h_i beta^k), each with a k of its own     *)
(******************************************************************************)

Section Gauge.

Variable beta : radix.
Variable prec : Z.
Context (rnd : R -> Z) {valid : Valid_rnd rnd}.
Notation round_FLX := (round beta (FLX_exp prec) rnd).

Fixpoint scale (k : Z) (e : expr) : expr := match e with
  | Inp x => Inp (x * bpow beta k) | Mul c a => Mul c (scale k a)
  | Add a b => Add (scale k a) (scale k b) | Fma c a b => Fma c (scale k a) (scale k b) end.

Inductive gauged : expr -> expr -> Prop :=
  | G_same e : gauged e e
  | G_mul c a k : gauged (Mul c a) (Mul (c * bpow beta (- k)) (scale k a))
  | G_add a b a' b' : gauged a a' -> gauged b b' -> gauged (Add a b) (Add a' b')
  | G_fma c a b b' k : gauged b b' -> gauged (Fma c a b) (Fma (c * bpow beta (- k)) (scale k a) b').

Lemma round_scale x k : round_FLX (x * bpow beta k) = round_FLX x * bpow beta k.
Proof.
destruct (Req_dec x 0) as [->|N]; [rewrite Rmult_0_l, !round_0 by assumption; ring|].
unfold round, scaled_mantissa, cexp, FLX_exp; rewrite mag_mult_bpow by assumption; unfold F2R; simpl.
replace (x * bpow beta k * bpow beta (- (mag beta x + k - prec))) with (x * bpow beta (- (mag beta x - prec))).
- rewrite Rmult_assoc, <- bpow_plus; do 2 f_equal; ring.
- rewrite Rmult_assoc, <- bpow_plus; do 2 f_equal; ring.
Qed.

Lemma fl_scale k e : fl round_FLX (scale k e) = fl round_FLX e * bpow beta k.
Proof.
induction e as [x|c a IH|a IHa b IHb|c a IHa b IHb]; simpl;
  rewrite ?IH, ?IHa, ?IHb; rewrite <- ?round_scale; f_equal; ring.
Qed.

Lemma product_gauge c v k : c * bpow beta (- k) * (v * bpow beta k) = c * v.
Proof.
replace (c * bpow beta (- k) * (v * bpow beta k)) with (c * v * (bpow beta (- k) * bpow beta k)) by ring.
rewrite <- bpow_plus; replace (- k + k)%Z with 0%Z by ring; simpl; ring.
Qed.

(* GAU-6. The computed output is the same number. *)
Theorem gauge_power_of_two e e' : gauged e e' -> fl round_FLX e' = fl round_FLX e.
Proof.
induction 1 as [e|c a k|a b a' b' _ IHa _ IHb|c a b b' k _ IHb]; simpl;
  rewrite ?fl_scale, ?product_gauge, ?IHa, ?IHb; reflexivity.
Qed.

End Gauge.
