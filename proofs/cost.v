From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory.

(******************************************************************************)
(* What a nested layer costs (CST): multiply-adds for one input vector.       *)
(*                                                                            *)
(* macs_factored r d_out d_in == r (d_in + d_out), at rank r                  *)
(*                                                  layer_cost(layer, r)      *)
(*       macs_dense d_out d_in == d_in d_out, with the weights merged         *)
(*                                                  dense_cost([layer])       *)
(*                macs_model r == a model with nested layers i at ranks r i,  *)
(*                                and a cost outside of them    network_cost  *)
(*                     share r == that, over the cost of the dense model      *)
(*                                                         transformer_share  *)
(******************************************************************************)

Definition macs_factored r d_out d_in := r * (d_out + d_in).
Definition macs_dense d_out d_in := d_out * d_in.

(* CST-1. Rank r is cheaper than the dense layer exactly while r < d_in d_out / (d_in + d_out);
   with no side condition. *)
Theorem breakeven_rat r d_out d_in :
  (macs_factored r d_out d_in < macs_dense d_out d_in) =
  (r%:R < (d_out * d_in)%:R / (d_out + d_in)%:R :> rat)%R.
Proof.
rewrite /macs_factored /macs_dense; case: (posnP (d_out + d_in)) => [e | p].
  by rewrite e invr0 mulr0 muln0 ltrn0; case: d_out e => [|//].
by rewrite ltr_pdivl_mulr ?ltr0n // -natrM ltr_nat.
Qed.

(* CST-1. The same with a whole number: the quotient rounded up. *)
Theorem breakeven_nat r d_out d_in : 0 < d_out + d_in ->
  (macs_factored r d_out d_in < macs_dense d_out d_in) =
  (r < (d_out * d_in + (d_out + d_in).-1) %/ (d_out + d_in)).
Proof.
move=> p; rewrite /macs_factored /macs_dense leq_divRL // mulSn.
by case: (d_out + d_in) p => //= q _; rewrite addSn addnC -addSn leq_add2r.
Qed.

(* CST-2. The cost does not fall with the rank ... *)
Theorem macs_monotone r s d_out d_in : r <= s -> macs_factored r d_out d_in <= macs_factored s d_out d_in.
Proof. by move=> rs; rewrite leq_mul2r rs orbT. Qed.

(* CST-2. ... and rises, if the layer is not empty. *)
Theorem macs_strictly_monotone r s d_out d_in :
  0 < d_out + d_in -> r < s -> macs_factored r d_out d_in < macs_factored s d_out d_in.
Proof. by move=> p rs; rewrite ltn_mul2r p. Qed.

(* CST-3. A square layer breaks even at half its width. *)
Theorem breakeven_square r d_in : (macs_factored r d_in d_in < macs_dense d_in d_in) = (0 < d_in) && (2 * r < d_in).
Proof.
by rewrite /macs_factored /macs_dense addnn -mul2n mulnCA mulnA ltn_mul2r.
Qed.

(* CST-3. At full rank the factors always cost more than the dense layer. *)
Theorem full_rank_costs_more d_out d_in : 0 < d_out -> 0 < d_in ->
  macs_dense d_out d_in < macs_factored (minn d_out d_in) d_out d_in.
Proof.
move=> m0 n0; rewrite /macs_factored /macs_dense mulnDr.
have [_ | _] := leqP d_out d_in.
  by rewrite -{1}[d_out * d_in]add0n ltn_add2r muln_gt0 m0.
by rewrite (mulnC d_in d_out) -{1}[d_out * d_in]addn0 ltn_add2l muln_gt0 n0.
Qed.

(* CST-5. K ranks in one pass: the components between two ranks are added once, so the pass
   costs what its largest rank costs. e k is the k-th rank in ascending order, e 0 = 0. *)
Theorem macs_one_pass (e : nat -> nat) K d_out d_in : (forall i j, i <= j -> e i <= e j) -> e 0 = 0 ->
  e K * d_in + \sum_(0 <= k < K) (e k.+1 - e k) * d_out = macs_factored (e K) d_out d_in.
Proof.
by move=> he e0; rewrite -big_distrl /= telescope_sumn // e0 subn0 /macs_factored mulnDr addnC.
Qed.

Section WholeModel.

Variables (I : finType) (d_out d_in : I -> nat) (outside : nat).
Implicit Types (r s : I -> nat).

Definition macs_model r := outside + \sum_i macs_factored (r i) (d_out i) (d_in i).
Definition macs_model_dense := outside + \sum_i macs_dense (d_out i) (d_in i).
Definition share r : rat := ((macs_model r)%:R / macs_model_dense%:R)%R.

Lemma macs_model_monotone r s : (forall i, r i <= s i) -> macs_model r <= macs_model s.
Proof. by move=> rs; rewrite leq_add2l leq_sum // => i _; exact: macs_monotone. Qed.

(* CST-4. The whole model's share of the dense FLOPs does not fall when a rank grows. *)
Theorem share_monotone r s : (forall i, r i <= s i) -> (share r <= share s)%R.
Proof. by move=> rs; rewrite ler_wpmul2r ?invr_ge0 ?ler0n // ler_nat macs_model_monotone. Qed.

(* CST-4. It never falls below what lies outside the nested layers. *)
Theorem share_outside r : (outside%:R / macs_model_dense%:R <= share r)%R.
Proof. by rewrite ler_wpmul2r ?invr_ge0 ?ler0n // ler_nat leq_addr. Qed.

(* CST-4. It is below 1 if every nested layer is below its break-even rank. *)
Theorem share_lt1 r (i0 : I) :
  (forall i, macs_factored (r i) (d_out i) (d_in i) < macs_dense (d_out i) (d_in i)) -> (share r < 1)%R.
Proof.
move=> h; have lt : macs_model r < macs_model_dense.
  rewrite ltn_add2l (bigD1 i0) //= [ltnRHS](bigD1 i0) //= -addSn leq_add // leq_sum // => i _.
  exact: ltnW.
by rewrite /share ltr_pdivr_mulr ?ltr0n ?(leq_ltn_trans _ lt) // mul1r ltr_nat.
Qed.

(* CST-4. At one rank q for all layers it is affine in q. *)
Theorem share_uniform q :
  (share (fun _ => q) = outside%:R / macs_model_dense%:R +
   q%:R * ((\sum_i (d_out i + d_in i))%:R / macs_model_dense%:R))%R.
Proof.
by rewrite /share /macs_model /macs_factored -big_distrr /= natrD mulrDl natrM mulrA.
Qed.

End WholeModel.
