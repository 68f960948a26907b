From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory.

(******************************************************************************)
(* What a nested layer costs (CST): multiply-adds for one input vector.       *)
(*                                                                            *)
(* macs_factored r d_out d_in == r (d_in + d_out), at rank r                  *)
(*       macs_dense d_out d_in == d_in d_out, with the weights merged         *)
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
