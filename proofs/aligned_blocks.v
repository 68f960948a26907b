From Coq Require Import Reals Lra Psatz List Lia.
From nsn Require Import floating_point.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* Accumulators that align (FLT-10). A matrix unit may shift a block of       *)
(* products, and the sum so far, to the exponent of the largest of them, cut  *)
(* off what falls below its last place, add without rounding, and cut off the *)
(* result once more. Contract.truncating allows it; certify/rounding.py       *)
(* charges n + 2 ceil(n / BLOCK) roundings for it.                            *)
(*                                                                            *)
(*                 v == unit in the last place, over the largest: 2 u         *)
(*    aligned v s ps t == from the sum s, adding the blocks ps gives t        *)
(*                 m == the largest absolute value of a block and of s        *)
(******************************************************************************)

Definition abs_sum (l : list R) : R := sumR (map Rabs l).

Inductive aligned (v : R) : R -> list (list R) -> R -> Prop :=
| AlignedDone s : aligned v s [] s
| AlignedBlock s p ps m s_cut p_cut t s' :
    m <= Rabs s + abs_sum p -> Rabs (s_cut - s) <= v * m ->
    Forall2 (fun x x_cut => Rabs (x_cut - x) <= v * m) p p_cut ->
    Rabs (t - (s_cut + sumR p_cut)) <= v * Rabs (s_cut + sumR p_cut) ->
    aligned v t ps s' -> aligned v s (p :: ps) s'.

Section Aligned.

Variable v : R.
Hypothesis v_ge0 : 0 <= v.

Lemma abs_sum_ge0 l : 0 <= abs_sum l.
Proof. unfold abs_sum, sumR; induction l as [|x l IH]; simpl; [lra|]; generalize (Rabs_pos x); lra. Qed.

Lemma abs_sum_app l l' : abs_sum (l ++ l') = abs_sum l + abs_sum l'.
Proof. unfold abs_sum; now rewrite map_app, sumR_app. Qed.

Lemma sum_le_abs_sum l : Rabs (sumR l) <= abs_sum l.
Proof.
unfold abs_sum, sumR; induction l as [|x l IH]; simpl; [rewrite Rabs_R0; lra|].
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

(* One unit for each member that is cut. *)
Lemma cut_block c p p_cut : Forall2 (fun x x_cut => Rabs (x_cut - x) <= c) p p_cut ->
  Rabs (sumR p_cut - sumR p) <= INR (length p) * c.
Proof.
induction 1 as [|x y l l' H _ IH]; [unfold sumR; simpl; rewrite Rminus_0_r, Rabs_R0; lra|].
change (length (x :: l)) with (S (length l)); rewrite S_INR; unfold sumR in *; simpl.
replace (y + fold_right Rplus 0 l' - (x + fold_right Rplus 0 l))
  with ((y - x) + (fold_right Rplus 0 l' - fold_right Rplus 0 l)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma bernoulli n : 1 + INR n * v <= (1 + v) ^ n.
Proof.
induction n as [|n IH]; [simpl; lra|]; rewrite S_INR; simpl.
assert (P := Rmult_le_pos _ _ (pos_INR n) v_ge0); nra.
Qed.

(* A block of k products costs k + 2 roundings of the sum of the absolute values. *)
Lemma block_error s p m s_cut p_cut t :
  m <= Rabs s + abs_sum p -> Rabs (s_cut - s) <= v * m ->
  Forall2 (fun x x_cut => Rabs (x_cut - x) <= v * m) p p_cut ->
  Rabs (t - (s_cut + sumR p_cut)) <= v * Rabs (s_cut + sumR p_cut) ->
  Rabs (t - (s + sumR p)) <= ((1 + v) ^ (length p + 2) - 1) * (Rabs s + abs_sum p).
Proof.
set (M := Rabs s + abs_sum p); set (k := length p); intros Hm Hs Hp Ht.
assert (C := cut_block _ _ _ Hp); fold k in C.
assert (M0 : 0 <= M) by (unfold M; generalize (Rabs_pos s) (abs_sum_ge0 p); lra).
assert (vm : v * m <= v * M) by (now apply Rmult_le_compat_l).
assert (kvm := Rmult_le_compat_l _ _ _ (pos_INR k) vm).
assert (D : Rabs (s_cut + sumR p_cut - (s + sumR p)) <= (INR k + 1) * (v * M)).
{ replace (s_cut + sumR p_cut - (s + sumR p)) with ((s_cut - s) + (sumR p_cut - sumR p)) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. }
assert (E : Rabs (s + sumR p) <= M).
{ apply (Rle_trans _ _ _ (Rabs_triang _ _)); unfold M; generalize (sum_le_abs_sum p); lra. }
assert (F : Rabs (s_cut + sumR p_cut) <= M + (INR k + 1) * (v * M)).
{ replace (s_cut + sumR p_cut) with ((s + sumR p) + (s_cut + sumR p_cut - (s + sumR p))) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra. }
apply (Rmult_le_compat_l _ _ _ v_ge0) in F.
assert (B := bernoulli (k + 1)); rewrite plus_INR in B; simpl in B.
assert (G : (1 + v) * (1 + (INR k + 1) * v) <= (1 + v) ^ (k + 2)).
{ replace (k + 2)%nat with (S (k + 1)) by lia; simpl; apply Rmult_le_compat_l; lra. }
apply (Rmult_le_compat_r _ _ _ M0) in G.
replace (t - (s + sumR p)) with ((t - (s_cut + sumR p_cut)) + (s_cut + sumR p_cut - (s + sumR p))) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma aligned_pow s ps s' : aligned v s ps s' ->
  Rabs (s' - (s + sumR (concat ps))) <=
  ((1 + v) ^ (length (concat ps) + 2 * length ps) - 1) * (Rabs s + abs_sum (concat ps)).
Proof.
induction 1 as [s|s p ps m s_cut p_cut t s' Hm Hs Hp Ht _ IH].
- unfold abs_sum, sumR; simpl; replace (s - (s + 0)) with 0 by ring; rewrite Rabs_R0; lra.
- assert (B := block_error _ _ _ _ _ _ Hm Hs Hp Ht); simpl concat.
  rewrite abs_sum_app, sumR_app, app_length; simpl length.
  replace (length p + length (concat ps) + 2 * S (length ps))%nat
    with ((length p + 2) + (length (concat ps) + 2 * length ps))%nat by lia.
  rewrite pow_add; set (G := (1 + v) ^ (length p + 2)) in *; set (G' := (1 + v) ^ (_ + _)) in *.
  assert (G1 : 1 <= G) by (apply pow_R1_Rle; lra); assert (G1' : 1 <= G') by (apply pow_R1_Rle; lra).
  set (M := Rabs s + abs_sum p) in *; set (P := abs_sum (concat ps)) in *.
  assert (P0 : 0 <= P) by apply abs_sum_ge0.
  assert (M0 : 0 <= M) by (unfold M; generalize (Rabs_pos s) (abs_sum_ge0 p); lra).
  assert (T : Rabs t <= G * M).
  { replace t with ((s + sumR p) + (t - (s + sumR p))) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)).
    assert (E := Rabs_triang s (sumR p)); assert (S := sum_le_abs_sum p); unfold M in *; lra. }
  assert (X : (G' - 1) * (Rabs t + P) <= (G' - 1) * (G * M + P)) by (apply Rmult_le_compat_l; lra).
  assert (Y : 0 <= (G - 1) * G' * P) by (apply Rmult_le_pos; [apply Rmult_le_pos|]; lra).
  replace (s' - (s + (sumR p + sumR (concat ps))))
    with ((s' - (t + sumR (concat ps))) + (t - (s + sumR p))) by ring.
  apply (Rle_trans _ _ _ (Rabs_triang _ _)).
  replace ((G * G' - 1) * (Rabs s + (abs_sum p + P))) with ((G * G' - 1) * (M + P)) by (unfold M; ring); lra.
Qed.

(* FLT-10. Products added in aligned blocks of any sizes: each block costs two roundings more. *)
Theorem aligned_error ps s : aligned v 0 ps s -> INR (length (concat ps) + 2 * length ps) * v < 1 ->
  Rabs (s - sumR (concat ps)) <= gamma v (length (concat ps) + 2 * length ps) * abs_sum (concat ps).
Proof.
intros H Hv; assert (E := aligned_pow _ _ _ H); rewrite Rabs_R0, !Rplus_0_l in E.
apply (Rle_trans _ _ _ E); apply Rmult_le_compat_r; [apply abs_sum_ge0|now apply pow_le_gamma].
Qed.

(* FLT-10. If all blocks but the last have at least k products, there are at most
   (n + k - 1) / k of them, n / k rounded up. *)
Theorem aligned_error_blocks k ps s : (0 < k)%nat -> aligned v 0 ps s ->
  (k * length ps <= length (concat ps) + (k - 1))%nat ->
  let n := length (concat ps) in let q := (n + 2 * ((n + (k - 1)) / k))%nat in
  INR q * v < 1 -> Rabs (s - sumR (concat ps)) <= gamma v q * abs_sum (concat ps).
Proof.
intros Hk H Hb n q Hv.
assert (L : (n + 2 * length ps <= q)%nat).
{ unfold q; assert (length ps <= (n + (k - 1)) / k)%nat by (apply Nat.div_le_lower_bound; lia); lia. }
apply (Rle_trans _ (gamma v (n + 2 * length ps) * abs_sum (concat ps))).
- apply aligned_error; [assumption|]; apply (Rle_lt_trans _ (INR q * v)); [|assumption].
  now apply Rmult_le_compat_r, le_INR.
- apply Rmult_le_compat_r; [apply abs_sum_ge0|now apply gamma_mono].
Qed.

End Aligned.
