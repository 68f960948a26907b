From Coq Require Import Reals ZArith Lra List Lia Permutation.
From Flocq Require Import Core.
From nsn Require Import floating_point.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* When every order of summation gives the exact sum (FLT-3): what makes the  *)
(* exact lane of the golden suite sound. If every term is a multiple of       *)
(* beta^q and the absolute values of the terms add up to at most beta^(p+q),  *)
(* every partial sum is representable with p digits, so nothing is ever       *)
(* rounded: in any order, with or without fused multiply-add, in any rounding *)
(* mode. With gradual underflow q must be at least emin. The numbers are real *)
(* numbers, so the sign of a zero is not covered.                             *)
(*                                                                            *)
(*    multiple q x == x is a whole number of beta^q                           *)
(* certificate rnd p q l == the terms l meet the condition    certify.Exact   *)
(******************************************************************************)

Section Exact.

Variable beta : radix.

Definition multiple (q : Z) (x : R) : Prop := exists m : Z, x = IZR m * bpow beta q.

Lemma multiple_0 q : multiple q 0.
Proof. exists 0%Z; ring. Qed.

Lemma multiple_plus q x y : multiple q x -> multiple q y -> multiple q (x + y).
Proof. intros [m ->] [n ->]; exists (m + n)%Z; rewrite plus_IZR; ring. Qed.

(* Representable: a multiple of beta^q of at most beta^(p+q). *)
Lemma multiple_format emin p q x : (0 < p)%Z -> (emin <= q)%Z ->
  multiple q x -> Rabs x <= bpow beta (p + q) -> generic_format beta (FLT_exp emin p) x.
Proof.
intros Hp Hq [m E] H; assert (P := bpow_gt_0 beta q).
assert (Hm : (Z.abs m <= beta ^ p)%Z).
{ apply le_IZR; rewrite abs_IZR, IZR_Zpower by lia; apply (Rmult_le_reg_r (bpow beta q)); [assumption|].
  rewrite <- bpow_plus; rewrite E, Rabs_mult, (Rabs_pos_eq (bpow beta q)) in H by lra; exact H. }
destruct (Z.eq_dec (Z.abs m) (beta ^ p)) as [Em|Nm].
- assert (F : generic_format beta (FLT_exp emin p) (bpow beta (p + q))).
  { apply generic_format_bpow; unfold FLT_exp; lia. }
  assert (A : Rabs x = bpow beta (p + q)).
  { rewrite E, Rabs_mult, (Rabs_pos_eq (bpow beta q)) by lra.
    now rewrite <- abs_IZR, Em, IZR_Zpower, bpow_plus by lia. }
  apply generic_format_abs_inv; now rewrite A.
- apply generic_format_FLT; exists (Float beta m q); simpl; [exact E| |exact Hq]; lia.
Qed.

Section AnyRounding.

Variables (rnd : R -> R) (p q : Z).
Hypothesis rnd_exact : forall x, multiple q x -> Rabs x <= bpow beta (p + q) -> rnd x = x.

Definition certificate (l : list (R * expr)) : Prop :=
  (forall t, In t l -> multiple q (fst t * fl rnd (snd t))) /\
  sumR (map (fun t => Rabs (fst t * fl rnd (snd t))) l) <= bpow beta (p + q).

Lemma abs_sum_ge0 l : 0 <= sumR (map (fun t : R * expr => Rabs (fst t * fl rnd (snd t))) l).
Proof.
induction l as [|t l IH]; simpl; [lra|].
generalize (Rabs_pos (fst t * fl rnd (snd t))); unfold sumR in *; lra.
Qed.

Lemma certificate_multiple l : certificate l -> multiple q (sum_of (fl rnd) l).
Proof.
intros [M _]; induction l as [|t l IH]; [apply multiple_0|].
change (multiple q (fst t * fl rnd (snd t) + sum_of (fl rnd) l)).
apply multiple_plus; [apply M; now left|apply IH; intros s Hs; apply M; now right].
Qed.

Lemma certificate_bound l : certificate l -> Rabs (sum_of (fl rnd) l) <= bpow beta (p + q).
Proof.
intros [_ B]; apply (Rle_trans _ (sumR (map (fun t => Rabs (fst t * fl rnd (snd t))) l))); [|exact B].
clear B; unfold sum_of, sumR; induction l as [|t l IH]; simpl; [rewrite Rabs_R0; lra|].
apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

Lemma certificate_rnd l : certificate l -> rnd (sum_of (fl rnd) l) = sum_of (fl rnd) l.
Proof. intros C; apply rnd_exact; [now apply certificate_multiple|now apply certificate_bound]. Qed.

Lemma certificate_app la lb : certificate (la ++ lb) -> certificate la /\ certificate lb.
Proof.
intros [M B]; rewrite map_app, sumR_app in B.
assert (A := abs_sum_ge0 la); assert (A' := abs_sum_ge0 lb).
split; (split; [intros t Ht; apply M, in_or_app; auto|lra]).
Qed.

Lemma certificate_perm l l' : Permutation l l' -> certificate l' -> certificate l.
Proof.
intros P [M B]; split; [intros t Ht; apply M; now apply (Permutation_in _ P)|].
now rewrite (sumR_perm _ _ (Permutation_map (fun t => Rabs (fst t * fl rnd (snd t))) P)).
Qed.

(* FLT-3. Every order of summation gives the exact sum of the terms. *)
Theorem any_order_exact e l : sum_tree e l -> certificate l -> fl rnd e = sum_of (fl rnd) l.
Proof.
induction 1 as [|a|c a|a b la lb _ _ _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH]; intros C.
- reflexivity.
- unfold sum_of, sumR; simpl; ring.
- rewrite <- (certificate_rnd _ C) at 1; unfold sum_of, sumR; simpl; now rewrite Rplus_0_r.
- destruct (certificate_app _ _ C) as [Ca Cb].
  rewrite <- (certificate_rnd _ C), sum_of_app; simpl; now rewrite (IHa Ca), (IHb Cb).
- destruct (certificate_app [(c, a)] lb C) as [_ Cb].
  rewrite <- (certificate_rnd _ C); simpl; rewrite (IHb Cb); reflexivity.
- rewrite <- (sum_of_perm _ _ _ P); apply IH; now apply (certificate_perm _ _ P).
Qed.

(* FLT-3. So two orders give the same number. *)
Theorem two_orders_equal e1 e2 l : sum_tree e1 l -> sum_tree e2 l -> certificate l -> fl rnd e1 = fl rnd e2.
Proof. intros T1 T2 C; now rewrite (any_order_exact _ _ T1 C), (any_order_exact _ _ T2 C). Qed.

(* FLT-3. A dot product of stored numbers. *)
Theorem dot_exact e l : isdot e l -> certificate (inp l) -> fl rnd e = dot l.
Proof.
intros T C; rewrite (any_order_exact _ _ T C); unfold sum_of, inp, dot; now rewrite map_map.
Qed.

(* FLT-3. A nested layer: if each h_k meets the condition at a q of its own (its sums are
   exact) and so do the products b_k h_k, then y is exact too, and equal to b . (A x). A batch
   sum is a dot product with ones. *)
Theorem layer_exact e (rows : list (R * (expr * list (R * R)))) :
  sum_tree e (map (fun t => (fst t, fst (snd t))) rows) ->
  (forall t, In t rows -> fl rnd (fst (snd t)) = dot (snd (snd t))) ->
  certificate (map (fun t => (fst t, fst (snd t))) rows) ->
  fl rnd e = sumR (map (fun t => fst t * dot (snd (snd t))) rows).
Proof.
intros T H C; rewrite (any_order_exact _ _ T C); unfold sum_of; rewrite map_map; f_equal.
apply map_ext_in; intros t Ht; simpl; now rewrite (H t Ht).
Qed.

End AnyRounding.

Section Formats.

Variables emin p : Z.
Hypothesis p_gt0 : (0 < p)%Z.
Context (rnd : R -> Z) {valid : Valid_rnd rnd}.

Lemma rnd_exact_FLT q x : (emin <= q)%Z -> multiple q x -> Rabs x <= bpow beta (p + q) ->
  round beta (FLT_exp emin p) rnd x = x.
Proof.
intros Hq M B; assert (Prec : Prec_gt_0 p) by exact p_gt0; apply round_generic; [exact valid|].
now apply (multiple_format emin p q).
Qed.

(* FLT-3. In a format of p digits with gradual underflow, in any rounding mode, if q >= emin. *)
Theorem dot_exact_FLT q e l : (emin <= q)%Z -> isdot e l ->
  (forall t, In t l -> multiple q (fst t * snd t)) ->
  sumR (map (fun t => Rabs (fst t * snd t)) l) <= bpow beta (p + q) ->
  fl (round beta (FLT_exp emin p) rnd) e = dot l.
Proof.
intros Hq T M B; apply (dot_exact _ p q (fun x => rnd_exact_FLT q x Hq) _ _ T); split.
- unfold inp; intros t Ht; apply in_map_iff in Ht; destruct Ht as [s [<- Hs]]; now apply M.
- unfold inp; now rewrite map_map.
Qed.

(* FLT-3. A nested layer in such a format: h_k = a_k . x exactly, each at a q of its own, and
   then y = b . h. A row is b_k, the tree that computes h_k, and the products of h_k. *)
Theorem layer_exact_FLT q e (rows : list (R * (expr * list (R * R)))) : (emin <= q)%Z ->
  sum_tree e (map (fun t => (fst t, fst (snd t))) rows) ->
  (forall t, In t rows -> exists qk, (emin <= qk)%Z /\ isdot (fst (snd t)) (snd (snd t)) /\
    (forall s, In s (snd (snd t)) -> multiple qk (fst s * snd s)) /\
    sumR (map (fun s => Rabs (fst s * snd s)) (snd (snd t))) <= bpow beta (p + qk)) ->
  (forall t, In t rows -> multiple q (fst t * dot (snd (snd t)))) ->
  sumR (map (fun t => Rabs (fst t * dot (snd (snd t)))) rows) <= bpow beta (p + q) ->
  fl (round beta (FLT_exp emin p) rnd) e = sumR (map (fun t => fst t * dot (snd (snd t))) rows).
Proof.
intros Hq T H M B.
assert (E : forall t, In t rows -> fl (round beta (FLT_exp emin p) rnd) (fst (snd t)) = dot (snd (snd t))).
{ intros t Ht; destruct (H t Ht) as [qk [Hk [D [Mk Bk]]]].
  apply (dot_exact _ p qk (fun x => rnd_exact_FLT qk x Hk) _ _ D); split.
  - unfold inp; intros s Hs; apply in_map_iff in Hs; destruct Hs as [r [<- Hr]]; now apply Mk.
  - unfold inp; now rewrite map_map. }
apply (layer_exact _ p q (fun x => rnd_exact_FLT q x Hq) _ _ T E); split.
- intros t Ht; apply in_map_iff in Ht; destruct Ht as [s [<- Hs]]; simpl; rewrite (E s Hs); now apply M.
- rewrite map_map; erewrite map_ext_in; [exact B|]; intros t Ht; simpl; now rewrite (E t Ht).
Qed.

(* FLT-3. The exact sum is then a number of the format. *)
Theorem dot_exact_format q l : (emin <= q)%Z -> (forall t, In t l -> multiple q (fst t * snd t)) ->
  sumR (map (fun t => Rabs (fst t * snd t)) l) <= bpow beta (p + q) ->
  generic_format beta (FLT_exp emin p) (dot l).
Proof.
intros Hq M B; apply (multiple_format emin p q _ p_gt0 Hq).
- clear B; unfold dot, sumR; induction l as [|t l IH]; [apply multiple_0|]; simpl.
  apply multiple_plus; [apply M; now left|apply IH; intros s Hs; apply M; now right].
- apply (Rle_trans _ (sumR (map (fun t => Rabs (fst t * snd t)) l))); [|exact B].
  clear; unfold dot, sumR; induction l as [|t l IH]; simpl; [rewrite Rabs_R0; lra|].
  apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
Qed.

End Formats.

End Exact.
