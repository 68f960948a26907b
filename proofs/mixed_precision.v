From Coq Require Import Reals ZArith Lra Psatz List Lia Permutation.
From Flocq Require Import Core Relative Plus_error.
From nsn Require Import floating_point.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* Mixed precision (FLT-4): inputs in a narrow format, products and sums in a *)
(* wide one, in any order, with or without fused multiply-add, and one final  *)
(* rounding to the narrow format. The wide arithmetic may round to nearest or *)
(* truncate, as matrix units may: truncation doubles u.                       *)
(*                                                                            *)
(*      u, eta == |rnd x - x| <= u |x| + eta in the wide format               *)
(*      v, tau == the same for the final rounding, store              stored  *)
(* sum_error u eta l == the bound before that: gamma_n |x|.|y| + underflow    *)
(******************************************************************************)

Definition sum_error (u eta : R) (l : list (R * R)) : R :=
  gamma u (length l) * adot l + (1 + gamma u (length l)) * (INR (length l) * eta).

Section Mixed.

Variables (u eta v tau : R) (rnd store : R -> R) (fmt : R -> Prop).
Hypothesis u_ge0 : 0 <= u.
Hypothesis eta_ge0 : 0 <= eta.
Hypothesis v_ge0 : 0 <= v.
Hypothesis rnd_fmt : forall x, fmt (rnd x).
Hypothesis rnd_err : forall x, Rabs (rnd x - x) <= u * Rabs x + eta.
Hypothesis add_err : forall x y, fmt x -> fmt y -> Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).
Hypothesis store_err : forall x, Rabs (store x - x) <= v * Rabs x + tau.

(* FLT-4. A number with error e, stored. *)
Theorem store_error x y e : Rabs (x - y) <= e -> Rabs (store x - y) <= e + v * (Rabs y + e) + tau.
Proof.
intros H; replace (store x - y) with ((store x - x) + (x - y)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); assert (S := store_err x).
assert (Hx : Rabs x <= Rabs y + e).
{ replace x with (y + (x - y)) at 1 by ring; apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. }
assert (M : v * Rabs x <= v * (Rabs y + e)) by (apply Rmult_le_compat_l; assumption); lra.
Qed.

(* FLT-4. A dot product accumulated in the wide format and stored in the narrow one. *)
Theorem mixed_dot_error e l : wf fmt e -> isdot e l -> INR (length l) * u < 1 ->
  Rabs (store (fl rnd e) - dot l) <= sum_error u eta l + v * (Rabs (dot l) + sum_error u eta l) + tau.
Proof.
intros W T Hu; apply store_error.
now apply (dot_error_any_order u eta rnd fmt u_ge0 eta_ge0 rnd_fmt rnd_err add_err).
Qed.

(* If the wide format holds every product, they cost no rounding, fused or not. *)
Definition exact_products (l : list (R * expr)) : Prop :=
  forall p, In p l -> rnd (fst p * fl rnd (snd p)) = fst p * fl rnd (snd p).

Definition abs_terms (l : list (R * expr)) : R := sumR (map (fun p => Rabs (fst p * fl rnd (snd p))) l).

Local Ltac split6 := split; [|split; [|split; [|split; [|split]]]].

Lemma additions_only e l : rnd 0 = 0 -> sum_tree e l -> exact_products l ->
  exists e', wf fmt e' /\ fl rnd e' = fl rnd e /\ ex e' = sum_of (fl rnd) l /\ ab e' = abs_terms l /\
    unf e' = 0 /\ (dep e' <= length l - 1)%nat.
Proof.
intros Z0 T; unfold abs_terms.
assert (Leaf : forall z, rnd z = z -> wf fmt (Inp z)) by (intros z Hz; simpl; rewrite <- Hz; apply rnd_fmt).
induction T as [|a|c a|a b la lb na nb _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH]; intros X.
- exists (Inp 0); split6; try reflexivity; [now apply Leaf|simpl; now rewrite Rabs_R0].
- assert (E := X _ (or_introl eq_refl)); simpl in E.
  exists (Inp (1 * fl rnd a)); split6;
    [now apply Leaf|simpl; ring|unfold sum_of, sumR; simpl; ring|unfold sumR; simpl; ring|reflexivity|simpl; lia].
- assert (E := X _ (or_introl eq_refl)); simpl in E.
  exists (Inp (c * fl rnd a)); split6;
    [now apply Leaf|simpl; now rewrite E
    |unfold sum_of, sumR; simpl; ring|unfold sumR; simpl; ring|reflexivity|simpl; lia].
- destruct (IHa (fun p Hp => X p (in_or_app _ _ _ (or_introl Hp)))) as [a' [Wa [Fa [Ea [Aa [Ua Da]]]]]].
  destruct (IHb (fun p Hp => X p (in_or_app _ _ _ (or_intror Hp)))) as [b' [Wb [Fb [Eb [Ab [Ub Db]]]]]].
  exists (Add a' b'); simpl; rewrite Fa, Fb, Ea, Eb, Aa, Ab, Ua, Ub, sum_of_app, map_app, sumR_app, app_length.
  split6; try reflexivity; [split; assumption|ring|].
  destruct la as [|p la]; [easy|]; destruct lb as [|q lb]; [easy|]; simpl length in *; lia.
- assert (E := X _ (or_introl eq_refl)); simpl in E.
  destruct (IHb (fun p Hp => X p (or_intror Hp))) as [b' [Wb [Fb [Eb [Ab [Ub Db]]]]]].
  destruct lb as [|q lb].
  + assert (B0 : fl rnd b = 0).
    { rewrite <- Fb; destruct b'; simpl in Db, Eb |- *; try lia; rewrite Eb; reflexivity. }
    exists (Inp (c * fl rnd a)); split6;
      [now apply Leaf| |unfold sum_of, sumR; simpl; ring|unfold sumR; simpl; ring|reflexivity|simpl; lia].
    simpl; rewrite B0, Rplus_0_r; now rewrite E.
  + exists (Add (Inp (c * fl rnd a)) b'); simpl; rewrite Fb, Eb, Ab, Ub; split6;
      [split; [now apply Leaf|assumption]|reflexivity|reflexivity|reflexivity|ring|simpl in *; lia].
- destruct (IH (fun p Hp => X p (Permutation_in _ P Hp))) as [e' [W [F [E [A [U D]]]]]].
  exists e'; rewrite <- (sum_of_perm _ _ _ P), <- (Permutation_length P).
  rewrite <- (sumR_perm _ _ (Permutation_map (fun p => Rabs (fst p * fl rnd (snd p))) P)); split6; assumption.
Qed.

(* FLT-4. Exact products: gamma_(n-1), and no underflow. *)
Theorem exact_products_error e l : rnd 0 = 0 -> sum_tree e l -> exact_products l -> INR (length l - 1) * u < 1 ->
  Rabs (fl rnd e - sum_of (fl rnd) l) <= gamma u (length l - 1) * abs_terms l.
Proof.
intros Z0 T X Hu; destruct (additions_only e l Z0 T X) as [e' [W [<- [<- [<- [U D]]]]]].
assert (H := expr_gamma u eta rnd fmt u_ge0 eta_ge0 rnd_fmt rnd_err add_err e' _ W D Hu).
now rewrite U, Rmult_0_r, Rmult_0_r, Rplus_0_r in H.
Qed.

(* FLT-4. A dot product with exact products in the wide format, stored in the narrow one. *)
Theorem mixed_dot_error_exact_products e l : rnd 0 = 0 -> isdot e l ->
  (forall p, In p l -> rnd (fst p * snd p) = fst p * snd p) -> INR (length l - 1) * u < 1 ->
  Rabs (store (fl rnd e) - dot l) <=
  gamma u (length l - 1) * adot l + v * (Rabs (dot l) + gamma u (length l - 1) * adot l) + tau.
Proof.
intros Z0 T X Hu; apply store_error.
assert (L : length (inp l) = length l) by apply map_length.
assert (D : sum_of (fl rnd) (inp l) = dot l) by (unfold sum_of, inp; now rewrite map_map).
assert (A : abs_terms (inp l) = adot l).
{ unfold abs_terms, inp, adot; rewrite map_map; f_equal; apply map_ext; intros p; simpl; apply Rabs_mult. }
rewrite <- D, <- A, <- L in *; apply exact_products_error; [assumption..| |assumption].
unfold inp; intros p Hp; apply in_map_iff in Hp; destruct Hp as [q [<- Hq]]; now apply X.
Qed.

End Mixed.

(* The two kinds of rounding, in formats with gradual underflow. *)
Section Formats.

Variable beta : radix.
Variables emin prec : Z.
Context {Hprec : Prec_gt_0 prec}.

Lemma product_format p q emin' x y : (0 < p)%Z -> (p + p <= q)%Z -> (emin' <= emin + emin)%Z ->
  generic_format beta (FLT_exp emin p) x -> generic_format beta (FLT_exp emin p) y ->
  generic_format beta (FLT_exp emin' q) (x * y).
Proof.
intros Hp Hq He Fx Fy.
assert (Pp : Prec_gt_0 p) by exact Hp.
apply FLT_format_generic in Fx; [|assumption]; apply FLT_format_generic in Fy; [|assumption].
destruct Fx as [[m e] -> Hm Em]; destruct Fy as [[m' e'] -> Hm' Em']; simpl in *.
apply generic_format_FLT; exists (Float beta (m * m') (e + e')); simpl.
- unfold F2R; simpl; rewrite mult_IZR, bpow_plus; ring.
- rewrite Z.abs_mul; apply (Z.lt_le_trans _ (beta ^ p * beta ^ p)); [nia|].
  rewrite <- Z.pow_add_r by lia; apply (Zpow_facts.Zpower_le_monotone); [generalize (radix_gt_1 beta)|]; lia.
- lia.
Qed.

(* FLT-4. Such a wide format exists whenever it has twice the digits and the exponents for it:
   bfloat16 and float16 inputs, float32 products (but for underflow). *)
Theorem products_are_exact p q emin' (rnd : R -> Z) {valid : Valid_rnd rnd} x y :
  (0 < p)%Z -> (p + p <= q)%Z -> (emin' <= emin + emin)%Z ->
  generic_format beta (FLT_exp emin p) x -> generic_format beta (FLT_exp emin p) y ->
  round beta (FLT_exp emin' q) rnd (x * y) = x * y.
Proof.
intros Hp Hq He Fx Fy; assert (Pq : Prec_gt_0 q) by (unfold Prec_gt_0; lia).
apply round_generic; [assumption|]; now apply (product_format p q emin').
Qed.

Context (trunc : R -> Z) {valid : Valid_rnd trunc}.

Lemma flt_trunc_err x :
  Rabs (round beta (FLT_exp emin prec) trunc x - x) <= bpow beta (- prec + 1) * Rabs x + bpow beta emin.
Proof.
assert (P := bpow_gt_0 beta emin); assert (Q := bpow_gt_0 beta (- prec + 1)); assert (A := Rabs_pos x).
assert (M := Rmult_le_pos _ _ (Rlt_le _ _ Q) A).
destruct (Rle_or_lt (bpow beta (emin + prec - 1)) (Rabs x)) as [H|H].
- apply Rlt_le; apply (Rlt_le_trans _ (bpow beta (- prec + 1) * Rabs x)); [|lra].
  now apply relative_error_FLT.
- apply (Rle_trans _ (ulp beta (FLT_exp emin prec) x)); [apply error_le_ulp; auto with typeclass_instances|].
  rewrite ulp_FLT_small; [lra|assumption|].
  apply (Rlt_le_trans _ _ _ H), bpow_le; lia.
Qed.

Lemma flt_trunc_add_err x y : generic_format beta (FLT_exp emin prec) x -> generic_format beta (FLT_exp emin prec) y ->
  Rabs (round beta (FLT_exp emin prec) trunc (x + y) - (x + y)) <= bpow beta (- prec + 1) * Rabs (x + y).
Proof.
intros Fx Fy.
apply FLT_format_generic in Fx; [|assumption]; apply FLT_format_generic in Fy; [|assumption].
destruct Fx as [[m e] -> _ Em]; destruct Fy as [[m' e'] -> _ Em']; simpl in *.
assert (S : F2R (Float beta m e) + F2R (Float beta m' e') =
            F2R (Float beta (m * beta ^ (e - emin) + m' * beta ^ (e' - emin)) emin)).
{ rewrite (F2R_change_exp beta emin m e Em), (F2R_change_exp beta emin m' e' Em').
  unfold F2R; simpl; rewrite plus_IZR; ring. }
rewrite S; destruct (Req_dec (F2R (Float beta (m * beta ^ (e - emin) + m' * beta ^ (e' - emin)) emin)) 0) as [E|N].
- rewrite E, round_0, Rminus_0_r, Rabs_R0 by assumption; lra.
- left; now apply relative_error_FLT_F2R_emin.
Qed.

(* FLT-4. Truncating accumulators (any rounding mode): u is one unit in the last place, not half. *)
Theorem dot_error_truncating e l : wf (generic_format beta (FLT_exp emin prec)) e -> isdot e l ->
  INR (length l) * bpow beta (- prec + 1) < 1 ->
  Rabs (fl (round beta (FLT_exp emin prec) trunc) e - dot l) <= sum_error (bpow beta (- prec + 1)) (bpow beta emin) l.
Proof.
apply dot_error_any_order; [apply bpow_ge_0|apply bpow_ge_0| |apply flt_trunc_err|apply flt_trunc_add_err].
intros x; apply generic_format_round; auto with typeclass_instances.
Qed.

End Formats.
