From Coq Require Import Reals ZArith Lra Psatz List Lia Permutation.
From Flocq Require Import Core Relative Plus_error.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* Rounding errors of sums of products in any order (FLT-1, FLT-2, FLT-6,     *)
(* FLT-7): an abstract model, then two formats, without underflow (Flocq's    *)
(* FLX) and with gradual underflow (FLT).                                     *)
(*                                                                            *)
(*            expr == a tree of roundings: products with a stored number,     *)
(*                    sums, fused multiply-adds                               *)
(*            ex e == the exact value                                         *)
(*            ab e == the magnitude: every number replaced by its absolute    *)
(*                    value                                                   *)
(*           dep e == the depth in roundings                                  *)
(*           unf e == the weight of the underflow terms                       *)
(*        fl rnd e == the computed value                                      *)
(*          wf P e == every stored number of e satisfies P                    *)
(*       gamma u n == n u / (1 - n u)             _gamma in certify/rounding  *)
(*    sum_tree e l == the tree e adds up the terms l, pairs of a number and a *)
(*                    tree to multiply it by, in any order, with or without   *)
(*                    fused multiply-add                                      *)
(*       isdot e l == the same for pairs of numbers: e computes l's dot       *)
(*                    product                                                 *)
(*       fldot rnd == the usual loop                                          *)
(******************************************************************************)

Inductive expr : Type :=
  | Inp (x : R)                       (* an exact (already stored) value *)
  | Mul (c : R) (e : expr)            (* rnd (c * e) *)
  | Add (e1 e2 : expr)                (* rnd (e1 + e2) *)
  | Fma (c : R) (e1 e2 : expr).       (* rnd (c * e1 + e2) *)

Fixpoint ex (e : expr) : R := match e with
  | Inp x => x | Mul c e => c * ex e | Add a b => ex a + ex b
  | Fma c a b => c * ex a + ex b end.
Fixpoint ab (e : expr) : R := match e with
  | Inp x => Rabs x | Mul c e => Rabs c * ab e | Add a b => ab a + ab b
  | Fma c a b => Rabs c * ab a + ab b end.
Fixpoint dep (e : expr) : nat := match e with
  | Inp _ => O | Mul _ e => S (dep e) | Add a b => S (max (dep a) (dep b))
  | Fma _ a b => S (max (dep a) (dep b)) end.
Fixpoint unf (e : expr) : R := match e with
  | Inp _ => 0 | Mul c e => Rabs c * unf e + 1 | Add a b => unf a + unf b
  | Fma c a b => Rabs c * unf a + unf b + 1 end.

Lemma ex_le_ab e : Rabs (ex e) <= ab e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; simpl; try lra.
- rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|assumption].
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
  generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) IHa); lra.
Qed.

Lemma ab_ge0 e : 0 <= ab e.
Proof. generalize (ex_le_ab e) (Rabs_pos (ex e)); lra. Qed.

Lemma unf_ge0 e : 0 <= unf e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; simpl; try lra.
- generalize (Rmult_le_pos _ _ (Rabs_pos c) IH); lra.
- generalize (Rmult_le_pos _ _ (Rabs_pos c) IHa); lra.
Qed.

Section Model.

Variables (u eta : R) (rnd : R -> R) (fmt : R -> Prop).
Hypothesis u_ge0 : 0 <= u.
Hypothesis eta_ge0 : 0 <= eta.
Hypothesis rnd_fmt : forall x, fmt (rnd x).
Hypothesis rnd_err : forall x, Rabs (rnd x - x) <= u * Rabs x + eta.
Hypothesis add_err : forall x y, fmt x -> fmt y ->
  Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).

Fixpoint fl (e : expr) : R := match e with
  | Inp x => x | Mul c e => rnd (c * fl e) | Add a b => rnd (fl a + fl b)
  | Fma c a b => rnd (c * fl a + fl b) end.

Fixpoint wf (e : expr) : Prop := match e with
  | Inp x => fmt x | Mul _ e => wf e | Add a b => wf a /\ wf b
  | Fma _ a b => wf a /\ wf b end.

Lemma fl_fmt e : wf e -> fmt (fl e).
Proof. destruct e; simpl; auto. Qed.

Definition bound (d : nat) (e : expr) : R :=
  ((1 + u) ^ d - 1) * ab e + (1 + u) ^ d * eta * unf e.

Lemma pow1_ge1 d : 1 <= (1 + u) ^ d.
Proof. apply pow_R1_Rle; lra. Qed.

Lemma bound_mono d d' e : (d <= d')%nat -> bound d e <= bound d' e.
Proof.
intros H; unfold bound.
assert (P : (1 + u) ^ d <= (1 + u) ^ d') by (apply Rle_pow; [lra|assumption]).
generalize (ab_ge0 e) (Rmult_le_pos _ _ eta_ge0 (unf_ge0 e)); nra.
Qed.

(* One more rounding on top of an error. *)
Lemma round_step d x y a w :
  Rabs (x - y) <= ((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w ->
  Rabs y <= a -> 0 <= w ->
  Rabs (rnd x - y) <= ((1 + u) ^ (S d) - 1) * a + (1 + u) ^ (S d) * eta * (w + 1).
Proof.
intros H1 H2 H3; assert (P := pow1_ge1 d).
replace (rnd x - y) with ((rnd x - x) + (x - y)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
assert (Hx : Rabs x <= Rabs y + Rabs (x - y)).
{ replace x with (y + (x - y)) at 1 by ring; apply Rabs_triang. }
assert (R1 := rnd_err x).
assert (M : u * Rabs x <= u * (a + Rabs (x - y))) by (apply Rmult_le_compat_l; lra).
assert (M2 : (1 + u) * Rabs (x - y) <=
  (1 + u) * (((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w)) by (apply Rmult_le_compat_l; lra).
assert (Q : 0 <= ((1 + u) * (1 + u) ^ d - 1) * eta).
{ apply Rmult_le_pos; [nra|assumption]. }
simpl; nra.
Qed.

Lemma add_step d x y z a w : fmt x -> fmt y ->
  Rabs (x + y - z) <= ((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w ->
  Rabs z <= a -> 0 <= w ->
  Rabs (rnd (x + y) - z) <= ((1 + u) ^ (S d) - 1) * a + (1 + u) ^ (S d) * eta * w.
Proof.
intros F1 F2 H1 H2 H3; assert (P := pow1_ge1 d).
replace (rnd (x + y) - z) with ((rnd (x + y) - (x + y)) + (x + y - z)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
assert (Hx : Rabs (x + y) <= Rabs z + Rabs (x + y - z)).
{ replace (x + y) with (z + (x + y - z)) at 1 by ring; apply Rabs_triang. }
assert (R1 := add_err x y F1 F2).
assert (M : u * Rabs (x + y) <= u * (a + Rabs (x + y - z))) by (apply Rmult_le_compat_l; lra).
assert (M2 : (1 + u) * Rabs (x + y - z) <=
  (1 + u) * (((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w)) by (apply Rmult_le_compat_l; lra).
simpl; nra.
Qed.

(* FLT-1. The error of any expression tree is at most (1+u)^depth - 1 times its magnitude,
   plus a term for underflow. *)
Theorem forward_error e : wf e -> Rabs (fl e - ex e) <= bound (dep e) e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; intros W.
- unfold bound; simpl; rewrite Rminus_eq_0, Rabs_R0; lra.
- apply (round_step (dep e) (c * fl e) (c * ex e) (Rabs c * ab e) (Rabs c * unf e)).
  + replace (c * fl e - c * ex e) with (c * (fl e - ex e)) by ring.
    rewrite Rabs_mult; generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) (IH W)).
    unfold bound; lra.
  + rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|apply ex_le_ab].
  + apply Rmult_le_pos; [apply Rabs_pos|apply unf_ge0].
- destruct W as [Wa Wb]; set (d := max (dep a) (dep b)).
  apply (add_step d (fl a) (fl b) (ex a + ex b) (ab a + ab b) (unf a + unf b));
    try now apply fl_fmt.
  + replace (fl a + fl b - (ex a + ex b)) with ((fl a - ex a) + (fl b - ex b)) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)).
    generalize (Rle_trans _ _ _ (IHa Wa) (bound_mono _ d a (Nat.le_max_l _ _))).
    generalize (Rle_trans _ _ _ (IHb Wb) (bound_mono _ d b (Nat.le_max_r _ _))).
    unfold bound; lra.
  + apply (Rle_trans _ _ _ (Rabs_triang _ _)); generalize (ex_le_ab a) (ex_le_ab b); lra.
  + generalize (unf_ge0 a) (unf_ge0 b); lra.
- destruct W as [Wa Wb]; set (d := max (dep a) (dep b)).
  apply (round_step d (c * fl a + fl b) (c * ex a + ex b)
          (Rabs c * ab a + ab b) (Rabs c * unf a + unf b)).
  + replace (c * fl a + fl b - (c * ex a + ex b))
      with (c * (fl a - ex a) + (fl b - ex b)) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
    generalize (Rle_trans _ _ _ (IHa Wa) (bound_mono _ d a (Nat.le_max_l _ _))).
    generalize (Rle_trans _ _ _ (IHb Wb) (bound_mono _ d b (Nat.le_max_r _ _))).
    intros Hb Ha; generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) Ha).
    unfold bound in *; lra.
  + apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
    generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) (ex_le_ab a)) (ex_le_ab b); lra.
  + generalize (Rmult_le_pos _ _ (Rabs_pos c) (unf_ge0 a)) (unf_ge0 b); lra.
Qed.

(* FLT-6. Every intermediate value is bounded: no overflow if this is below the largest number. *)
Theorem magnitude_bound e : wf e ->
  Rabs (fl e) <= (1 + u) ^ (dep e) * (ab e + eta * unf e).
Proof.
intros W; assert (H := forward_error e W); unfold bound in H.
assert (Rabs (fl e) <= Rabs (ex e) + Rabs (fl e - ex e)).
{ replace (fl e) with (ex e + (fl e - ex e)) at 1 by ring; apply Rabs_triang. }
generalize (ex_le_ab e); lra.
Qed.

End Model.

(* (1+u)^n - 1 <= gamma_n = n u / (1 - n u) *)
Definition gamma (u : R) (n : nat) : R := INR n * u / (1 - INR n * u).

Lemma pow_le_gamma u n : 0 <= u -> INR n * u < 1 -> (1 + u) ^ n - 1 <= gamma u n.
Proof.
intros Hu Hn.
assert (K : (1 + u) ^ n * (1 - INR n * u) <= 1).
{ clear Hn; induction n as [|n IH]; [simpl; lra|].
  rewrite S_INR; simpl.
  assert (P : 0 <= (1 + u) ^ n) by (apply pow_le; lra).
  assert (N := pos_INR n).
  apply (Rle_trans _ ((1 + u) ^ n * (1 - INR n * u))); [|exact IH].
  replace ((1 + u) * (1 + u) ^ n * (1 - (INR n + 1) * u))
     with ((1 + u) ^ n * ((1 + u) * (1 - (INR n + 1) * u))) by ring.
  apply Rmult_le_compat_l; [exact P|nra]. }
unfold gamma; apply (Rmult_le_reg_r (1 - INR n * u)); [lra|].
unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; lra.
Qed.

Lemma gamma_ge0 u n : 0 <= u -> INR n * u < 1 -> 0 <= gamma u n.
Proof.
intros Hu Hn; unfold gamma, Rdiv; apply Rmult_le_pos; [apply Rmult_le_pos; [apply pos_INR|assumption]|].
left; apply Rinv_0_lt_compat; lra.
Qed.

Lemma gamma_mono u m n : 0 <= u -> (m <= n)%nat -> INR n * u < 1 -> gamma u m <= gamma u n.
Proof.
intros Hu Hmn Hn; assert (M := le_INR _ _ Hmn); assert (M0 := pos_INR m); unfold gamma.
assert (Hm : INR m * u <= INR n * u) by (apply Rmult_le_compat_r; assumption).
assert (P : 0 <= INR m * u) by (apply Rmult_le_pos; assumption).
apply Rmult_le_compat; [assumption|left; apply Rinv_0_lt_compat; lra|assumption|].
apply Rinv_le_contravar; lra.
Qed.

(* The usual loop, one product after the other. *)
Definition seqdot (e0 : expr) (l : list (R * expr)) : expr :=
  fold_left (fun t p => Add t (Mul (fst p) (snd p))) l e0.

Definition dotE (l : list (R * expr)) : expr :=
  match l with [] => Inp 0 | p :: l' => seqdot (Mul (fst p) (snd p)) l' end.

Lemma dep_seqdot l : forall e0 k, (dep e0 <= k)%nat ->
  (forall p, In p l -> (dep (snd p) < k)%nat) ->
  (dep (seqdot e0 l) <= k + length l)%nat.
Proof.
induction l as [|p l IH]; intros e0 k H0 Hl; simpl; [lia|].
replace (k + S (length l))%nat with (S k + length l)%nat by lia.
apply IH.
- assert (Hp := Hl p (or_introl eq_refl)); simpl; lia.
- intros q Hq; assert (H := Hl q (or_intror Hq)); lia.
Qed.

Lemma dep_dotE l d : (forall p, In p l -> (dep (snd p) <= d)%nat) ->
  (dep (dotE l) <= d + length l)%nat.
Proof.
destruct l as [|p l]; intros H; simpl; [lia|].
replace (d + S (length l))%nat with (S d + length l)%nat by lia.
apply dep_seqdot; simpl.
- assert (Hp := H p (or_introl eq_refl)); lia.
- intros q Hq; assert (Hq' := H q (or_intror Hq)); lia.
Qed.

Definition sumR (l : list R) : R := fold_right Rplus 0 l.

Lemma ex_seqdot l : forall e0,
  ex (seqdot e0 l) = ex e0 + sumR (map (fun p => fst p * ex (snd p)) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma ab_seqdot l : forall e0,
  ab (seqdot e0 l) = ab e0 + sumR (map (fun p => Rabs (fst p) * ab (snd p)) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma unf_seqdot l : forall e0,
  unf (seqdot e0 l) = unf e0 + sumR (map (fun p => Rabs (fst p) * unf (snd p) + 1) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma ex_dotE l : ex (dotE l) = sumR (map (fun p => fst p * ex (snd p)) l).
Proof. destruct l; simpl; [reflexivity|]; now rewrite ex_seqdot. Qed.

Lemma ab_dotE l : ab (dotE l) = sumR (map (fun p => Rabs (fst p) * ab (snd p)) l).
Proof. destruct l; simpl; [apply Rabs_R0|]; now rewrite ab_seqdot. Qed.

Lemma wf_seqdot fmt l : forall e0, wf fmt e0 ->
  (forall p, In p l -> wf fmt (snd p)) -> wf fmt (seqdot e0 l).
Proof.
induction l as [|p l IH]; intros e0 H0 Hl; simpl; [assumption|].
apply IH; [split; [assumption|apply Hl; now left]|intros q Hq; apply Hl; now right].
Qed.

(* FLT-7. The sequential loop at rank r+1 is the loop at rank r and one more step: the same bits. *)
Theorem prefix_bitwise rnd e0 l p :
  fl rnd (seqdot e0 (l ++ [p])) =
  rnd (fl rnd (seqdot e0 l) + rnd (fst p * fl rnd (snd p))).
Proof. unfold seqdot; rewrite fold_left_app; reflexivity. Qed.

(* The same as plain loops. *)
Fixpoint loop (rnd : R -> R) (acc : R) (l : list (R * R)) : R :=
  match l with [] => acc | p :: l' => loop rnd (rnd (acc + rnd (fst p * snd p))) l' end.
Definition fldot (rnd : R -> R) (l : list (R * R)) : R :=
  match l with [] => 0 | p :: l' => loop rnd (rnd (fst p * snd p)) l' end.
Definition dot (l : list (R * R)) : R := sumR (map (fun p => fst p * snd p) l).
Definition adot (l : list (R * R)) : R := sumR (map (fun p => Rabs (fst p) * Rabs (snd p)) l).

Definition inp (l : list (R * R)) : list (R * expr) := map (fun p => (fst p, Inp (snd p))) l.

Lemma loop_expr rnd l : forall e0, loop rnd (fl rnd e0) l = fl rnd (seqdot e0 (inp l)).
Proof. induction l as [|p l IH]; intros e0; simpl; [reflexivity|]; now rewrite <- IH. Qed.

Lemma fldot_expr rnd l : fldot rnd l = fl rnd (dotE (inp l)).
Proof. destruct l as [|p l]; simpl; [reflexivity|]; now rewrite <- loop_expr. Qed.

Lemma ex_inp l : ex (dotE (inp l)) = dot l.
Proof. unfold dot, inp; rewrite ex_dotE, map_map; reflexivity. Qed.

Lemma ab_inp l : ab (dotE (inp l)) = adot l.
Proof. unfold adot, inp; rewrite ab_dotE, map_map; reflexivity. Qed.

Lemma dep_inp l : (dep (dotE (inp l)) <= length l)%nat.
Proof.
apply (Nat.le_trans _ (0 + length (inp l))); [|unfold inp; rewrite map_length; lia].
apply dep_dotE; intros p Hp; unfold inp in Hp; apply in_map_iff in Hp.
destruct Hp as [q [<- _]]; simpl; lia.
Qed.

(* No underflow: an unbounded exponent. *)
Section FLX.

Variable beta : radix.
Variable prec : Z.
Hypothesis prec_gt0 : (0 < prec)%Z.
Variable choice : Z -> bool.
Let rnd := round beta (FLX_exp prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).

Lemma u_ge0' : 0 <= u.
Proof. unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra. Qed.

(* FLT-1. In a format without underflow. *)
Theorem forward_error_FLX e : Rabs (fl rnd e - ex e) <= ((1 + u) ^ dep e - 1) * ab e.
Proof.
assert (W : wf (fun _ => True) e) by (induction e; simpl; tauto).
assert (H := forward_error u 0 rnd (fun _ => True) u_ge0' (Rle_refl 0) (fun _ => I)).
assert (E : forall x, Rabs (rnd x - x) <= u * Rabs x) by (intros x; apply relative_error_N_FLX; assumption).
specialize (H (fun x => Rle_trans _ _ _ (E x) (Req_le _ _ (eq_sym (Rplus_0_r _)))) (fun x y _ _ => E (x + y)) e W).
unfold bound in H; rewrite Rmult_0_r, Rmult_0_l, Rplus_0_r in H; exact H.
Qed.

Lemma expr_gamma_FLX e n : (dep e <= n)%nat -> INR n * u < 1 ->
  Rabs (fl rnd e - ex e) <= gamma u n * ab e.
Proof.
intros Hd Hn; apply (Rle_trans _ _ _ (forward_error_FLX e)).
apply Rmult_le_compat_r; [apply ab_ge0|].
apply (Rle_trans _ ((1 + u) ^ n - 1)); [|apply pow_le_gamma; [apply u_ge0'|exact Hn]].
generalize u_ge0'; intros U.
assert ((1 + u) ^ dep e <= (1 + u) ^ n) by (apply Rle_pow; [lra|assumption]); lra.
Qed.

(* FLT-1. The usual loop: |fl(x.y) - x.y| <= gamma_n |x|.|y|. *)
Theorem dot_error_FLX l : INR (length l) * u < 1 ->
  Rabs (fldot rnd l - dot l) <= gamma u (length l) * adot l.
Proof.
intros H; rewrite fldot_expr, <- ex_inp, <- ab_inp.
apply expr_gamma_FLX; [apply dep_inp|exact H].
Qed.

(* A nested layer, y = sum_k b_k (a_k . x), as the list of its pairs (b_k, products of a_k . x). *)
Definition prefix_fl (rows : list (R * list (R * R))) : R :=
  fldot rnd (map (fun p => (fst p, fldot rnd (snd p))) rows).
Definition prefix_ex (rows : list (R * list (R * R))) : R :=
  sumR (map (fun p => fst p * dot (snd p)) rows).
Definition prefix_ab (rows : list (R * list (R * R))) : R :=
  sumR (map (fun p => Rabs (fst p) * adot (snd p)) rows).

(* FLT-2. The two stages of a nested layer, h = A x and y = B h: gamma_(n + r). *)
Theorem prefix_layer_error_FLX rows n : (forall p, In p rows -> (length (snd p) <= n)%nat) ->
  INR (n + length rows) * u < 1 ->
  Rabs (prefix_fl rows - prefix_ex rows) <= gamma u (n + length rows) * prefix_ab rows.
Proof.
intros Hn Hu.
set (E := map (fun p : R * list (R * R) => (fst p, dotE (inp (snd p)))) rows).
assert (F : prefix_fl rows = fl rnd (dotE E)).
{ assert (G : forall l e0, loop rnd (fl rnd e0) (map (fun p : R * list (R * R) => (fst p, fldot rnd (snd p))) l)
     = fl rnd (seqdot e0 (map (fun p : R * list (R * R) => (fst p, dotE (inp (snd p)))) l))).
  { induction l as [|q l IH]; intros e0; simpl; [reflexivity|].
    rewrite fldot_expr, <- IH; reflexivity. }
  unfold prefix_fl, E; destruct rows as [|p rows']; simpl; [reflexivity|].
  rewrite <- G; simpl; now rewrite fldot_expr. }
assert (X : prefix_ex rows = ex (dotE E)).
{ unfold E; rewrite ex_dotE, map_map; unfold prefix_ex; f_equal; apply map_ext.
  intros p; simpl; now rewrite ex_inp. }
assert (Ab : prefix_ab rows = ab (dotE E)).
{ unfold E; rewrite ab_dotE, map_map; unfold prefix_ab; f_equal; apply map_ext.
  intros p; simpl; now rewrite ab_inp. }
rewrite F, X, Ab; apply expr_gamma_FLX; [|exact Hu].
replace (length rows) with (length E) by (unfold E; apply map_length).
apply dep_dotE; intros p Hp; unfold E in Hp; apply in_map_iff in Hp.
destruct Hp as [q [<- Hq]]; simpl.
apply (Nat.le_trans _ _ _ (dep_inp _)); now apply Hn.
Qed.

End FLX.

(* Gradual underflow. *)
Section FLT.

Variable beta : radix.
Variable emin prec : Z.
Context {Hprec : Prec_gt_0 prec}.
Variable choice : Z -> bool.
Let rnd := round beta (FLT_exp emin prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).
Let eta := / 2 * bpow beta emin.

Lemma u_flt_ge0 : 0 <= u.
Proof. unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra. Qed.

Lemma eta_flt_ge0 : 0 <= eta.
Proof. unfold eta; generalize (bpow_ge_0 beta emin); lra. Qed.

Lemma u_over_1pu : u / (1 + u) <= u.
Proof.
assert (U := u_flt_ge0); apply (Rmult_le_reg_r (1 + u)); [lra|].
unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; nra.
Qed.

Lemma flt_rnd_err x : Rabs (rnd x - x) <= u * Rabs x + eta.
Proof.
assert (Q := u_over_1pu).
destruct (relative_error_N_FLT'_ex beta emin prec Hprec choice x)
  as [eps [et [H1 [H2 [_ H4]]]]].
unfold rnd; rewrite H4; change (u_ro beta prec) with u in H1.
replace (x * (1 + eps) + et - x) with (eps * x + et) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
assert (Rabs eps * Rabs x <= u * Rabs x)
  by (apply Rmult_le_compat_r; [apply Rabs_pos|lra]).
unfold eta; lra.
Qed.

Lemma flt_add_err x y :
  generic_format beta (FLT_exp emin prec) x ->
  generic_format beta (FLT_exp emin prec) y ->
  Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).
Proof.
intros Fx Fy; assert (Q := u_over_1pu).
destruct (FLT_plus_error_N_ex beta emin prec choice x y Fx Fy) as [eps [H1 H2]].
unfold rnd; rewrite H2; change (u_ro beta prec) with u in H1.
replace ((x + y) * (1 + eps) - (x + y)) with (eps * (x + y)) by ring.
rewrite Rabs_mult; apply Rmult_le_compat_r; [apply Rabs_pos|lra].
Qed.

Lemma flt_fmt x : generic_format beta (FLT_exp emin prec) (rnd x).
Proof. apply generic_format_round; auto with typeclass_instances. Qed.

(* FLT-1. With gradual underflow. *)
Theorem forward_error_FLT e :
  wf (generic_format beta (FLT_exp emin prec)) e ->
  Rabs (fl rnd e - ex e) <=
  ((1 + u) ^ dep e - 1) * ab e + (1 + u) ^ dep e * eta * unf e.
Proof.
exact (forward_error u eta rnd _ u_flt_ge0 eta_flt_ge0 flt_fmt flt_rnd_err flt_add_err e).
Qed.

(* FLT-6. With gradual underflow. *)
Theorem magnitude_bound_FLT e :
  wf (generic_format beta (FLT_exp emin prec)) e ->
  Rabs (fl rnd e) <= (1 + u) ^ dep e * (ab e + eta * unf e).
Proof.
exact (magnitude_bound u eta rnd _ u_flt_ge0 eta_flt_ge0 flt_fmt flt_rnd_err flt_add_err e).
Qed.

End FLT.

(* FLT-1. float32: u = 2^-24. *)
Theorem dot_error_binary32 choice l : INR (length l) * bpow radix2 (-24) < 1 ->
  Rabs (fldot (round radix2 (FLX_exp 24) (Znearest choice)) l - dot l)
  <= gamma (bpow radix2 (-24)) (length l) * adot l.
Proof.
assert (E : / 2 * bpow radix2 (- (24) + 1) = bpow radix2 (-24)) by (simpl; lra).
intros H; rewrite <- E in *; now apply dot_error_FLX.
Qed.

(* Any order of summation, with or without fused multiply-add. A term (c, a) stands for the
   number c times the value of the tree a; T_term is a term that needs no product. *)

Inductive sum_tree : expr -> list (R * expr) -> Prop :=
  | T_nil : sum_tree (Inp 0) []
  | T_term a : sum_tree a [(1, a)]
  | T_mul c a : sum_tree (Mul c a) [(c, a)]
  | T_add a b la lb : la <> [] -> lb <> [] -> sum_tree a la -> sum_tree b lb ->
      sum_tree (Add a b) (la ++ lb)
  | T_fma c a b lb : sum_tree b lb -> sum_tree (Fma c a b) ((c, a) :: lb)
  | T_perm e l l' : Permutation l l' -> sum_tree e l -> sum_tree e l'.

Definition isdot (e : expr) (l : list (R * R)) : Prop := sum_tree e (inp l).

Definition sum_of (value : expr -> R) (l : list (R * expr)) : R := sumR (map (fun p => fst p * value (snd p)) l).
Definition sum_abs (value : expr -> R) (l : list (R * expr)) : R :=
  sumR (map (fun p => Rabs (fst p) * value (snd p)) l).

Lemma sumR_app l1 l2 : sumR (l1 ++ l2) = sumR l1 + sumR l2.
Proof. induction l1 as [|x l IH]; simpl; [ring|]; unfold sumR in *; simpl; rewrite IH; ring. Qed.

Lemma sumR_perm l l' : Permutation l l' -> sumR l = sumR l'.
Proof. induction 1; simpl; unfold sumR in *; simpl; lra. Qed.

Lemma sum_of_app v l1 l2 : sum_of v (l1 ++ l2) = sum_of v l1 + sum_of v l2.
Proof. unfold sum_of; now rewrite map_app, sumR_app. Qed.

Lemma sum_abs_app v l1 l2 : sum_abs v (l1 ++ l2) = sum_abs v l1 + sum_abs v l2.
Proof. unfold sum_abs; now rewrite map_app, sumR_app. Qed.

Lemma sum_of_perm v l l' : Permutation l l' -> sum_of v l = sum_of v l'.
Proof. intros P; exact (sumR_perm _ _ (Permutation_map _ P)). Qed.

Lemma sum_abs_perm v l l' : Permutation l l' -> sum_abs v l = sum_abs v l'.
Proof. intros P; exact (sumR_perm _ _ (Permutation_map _ P)). Qed.

Lemma tree_ex e l : sum_tree e l -> ex e = sum_of ex l.
Proof.
induction 1 as [|a|c a|a b la lb _ _ _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH]; try (unfold sum_of, sumR; simpl; ring).
- rewrite sum_of_app, <- IHa, <- IHb; reflexivity.
- unfold sum_of, sumR in *; simpl; now rewrite IHb.
- now rewrite <- (sum_of_perm _ _ _ P).
Qed.

Lemma tree_ab e l : sum_tree e l -> ab e = sum_abs ab l.
Proof.
induction 1 as [|a|c a|a b la lb _ _ _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH];
  try (unfold sum_abs, sumR; simpl; rewrite ?Rabs_R0, ?Rabs_R1; ring).
- rewrite sum_abs_app, <- IHa, <- IHb; reflexivity.
- unfold sum_abs, sumR in *; simpl; now rewrite IHb.
- now rewrite <- (sum_abs_perm _ _ _ P).
Qed.

Lemma tree_dep e l d : sum_tree e l -> (forall p, In p l -> (dep (snd p) <= d)%nat) -> (dep e <= d + length l)%nat.
Proof.
intros T; revert d.
induction T as [|a|c a|a b la lb na nb _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH]; intros d D; simpl.
- lia.
- specialize (D _ (or_introl eq_refl)); simpl in D; lia.
- specialize (D _ (or_introl eq_refl)); simpl in D; lia.
- rewrite app_length.
  assert (Ha := IHa d (fun p Hp => D p (in_or_app _ _ _ (or_introl Hp)))).
  assert (Hb := IHb d (fun p Hp => D p (in_or_app _ _ _ (or_intror Hp)))).
  destruct la as [|p la]; [easy|]; destruct lb as [|q lb]; [easy|]; simpl length in *; lia.
- assert (Ha := D _ (or_introl eq_refl)); simpl in Ha.
  assert (Hb := IHb d (fun p Hp => D p (or_intror Hp))); lia.
- rewrite <- (Permutation_length P); apply IH; intros p Hp; apply D; now apply (Permutation_in _ P).
Qed.

(* Each product adds at most one unit to the underflow terms. *)
Lemma tree_unf e l : sum_tree e l -> unf e <= sum_abs unf l + INR (length l).
Proof.
induction 1 as [|a|c a|a b la lb _ _ _ IHa _ IHb|c a b lb _ IHb|e l l' P _ IH];
  try (unfold sum_abs, sumR; simpl; rewrite ?Rabs_R1; lra).
- rewrite sum_abs_app, app_length, plus_INR; simpl; lra.
- unfold sum_abs, sumR in *; simpl length; rewrite S_INR; simpl; lra.
- now rewrite <- (sum_abs_perm _ _ _ P), <- (Permutation_length P).
Qed.

Lemma sum_of_inp l : sum_of ex (inp l) = dot l.
Proof. unfold sum_of, inp; now rewrite map_map. Qed.

Lemma sum_abs_inp l : sum_abs ab (inp l) = adot l.
Proof. unfold sum_abs, inp; now rewrite map_map. Qed.

Lemma sum_unf_inp l : sum_abs unf (inp l) = 0.
Proof. unfold sum_abs, sumR; induction l as [|p l IH]; simpl in *; lra. Qed.

Lemma in_inp_dep l p : In p (inp l) -> dep (snd p) = O.
Proof. unfold inp; intros Hp; apply in_map_iff in Hp; now destruct Hp as [q [<- _]]. Qed.

Lemma isdot_spec e l : isdot e l -> ex e = dot l /\ ab e = adot l /\ (dep e <= length l)%nat /\ unf e <= INR (length l).
Proof.
intros T; rewrite (tree_ex _ _ T), (tree_ab _ _ T), sum_of_inp, sum_abs_inp.
assert (L : length (inp l) = length l) by apply map_length.
assert (D := tree_dep _ _ O T (fun p Hp => Nat.eq_le_incl _ _ (in_inp_dep l p Hp))).
assert (Q := tree_unf _ _ T); rewrite sum_unf_inp in Q; rewrite L in *.
repeat split; [exact D|lra].
Qed.

Section AnyOrder.

Variables (u eta : R) (rnd : R -> R) (fmt : R -> Prop).
Hypothesis u_ge0 : 0 <= u.
Hypothesis eta_ge0 : 0 <= eta.
Hypothesis rnd_fmt : forall x, fmt (rnd x).
Hypothesis rnd_err : forall x, Rabs (rnd x - x) <= u * Rabs x + eta.
Hypothesis add_err : forall x y, fmt x -> fmt y -> Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).

Lemma expr_gamma e n : wf fmt e -> (dep e <= n)%nat -> INR n * u < 1 ->
  Rabs (fl rnd e - ex e) <= gamma u n * ab e + (1 + gamma u n) * (eta * unf e).
Proof.
intros W Hd Hn; assert (H := forward_error u eta rnd fmt u_ge0 eta_ge0 rnd_fmt rnd_err add_err e W).
assert (P : (1 + u) ^ dep e <= (1 + u) ^ n) by (apply Rle_pow; [lra|assumption]).
assert (G := pow_le_gamma u n u_ge0 Hn); unfold bound in H.
assert (A := ab_ge0 e); assert (Q := Rmult_le_pos _ _ eta_ge0 (unf_ge0 e)); rewrite Rmult_assoc in H; nra.
Qed.

(* FLT-1. Any order of summation, with or without fused multiply-add: gamma_n |x|.|y|, and at
   most one underflow in each product. *)
Theorem dot_error_any_order e l : wf fmt e -> isdot e l -> INR (length l) * u < 1 ->
  Rabs (fl rnd e - dot l) <=
  gamma u (length l) * adot l + (1 + gamma u (length l)) * (INR (length l) * eta).
Proof.
intros W H Hu; destruct (isdot_spec e l H) as [<- [<- [Hd Hq]]].
apply (Rle_trans _ _ _ (expr_gamma e _ W Hd Hu)); apply Rplus_le_compat_l.
assert (G := gamma_ge0 u (length l) u_ge0 Hu); apply Rmult_le_compat_l; [lra|].
rewrite Rmult_comm; apply Rmult_le_compat_r; assumption.
Qed.

(* FLT-1. Two kernels that compute the same dot product differ by at most twice that. *)
Theorem dot_error_two_orders e1 e2 l : wf fmt e1 -> wf fmt e2 -> isdot e1 l -> isdot e2 l -> INR (length l) * u < 1 ->
  Rabs (fl rnd e1 - fl rnd e2) <=
  2 * (gamma u (length l) * adot l + (1 + gamma u (length l)) * (INR (length l) * eta)).
Proof.
intros W1 W2 H1 H2 Hu.
generalize (dot_error_any_order _ _ W1 H1 Hu) (dot_error_any_order _ _ W2 H2 Hu); intros B1 B2.
replace (fl rnd e1 - fl rnd e2) with ((fl rnd e1 - dot l) + - (fl rnd e2 - dot l)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_Ropp; lra.
Qed.

End AnyOrder.

Section Formats.

Variable beta : radix.
Variables emin prec : Z.
Context {Hprec : Prec_gt_0 prec}.

(* FLT-1. Without underflow, rounding to nearest. *)
Theorem dot_error_any_order_FLX choice e l : isdot e l -> INR (length l) * (/ 2 * bpow beta (- prec + 1)) < 1 ->
  Rabs (fl (round beta (FLX_exp prec) (Znearest choice)) e - dot l) <=
  gamma (/ 2 * bpow beta (- prec + 1)) (length l) * adot l.
Proof.
intros H Hu; destruct (isdot_spec e l H) as [<- [<- [Hd _]]].
now apply expr_gamma_FLX.
Qed.

(* FLT-2. A nested layer: h_k = a_k . x, then y = b . h, each in any order of its own. A row
   is b_k, the tree that computes h_k, and the products of h_k. *)
Theorem layer_error_any_order_FLX choice e (rows : list (R * (expr * list (R * R)))) n :
  sum_tree e (map (fun p => (fst p, fst (snd p))) rows) ->
  (forall p, In p rows -> isdot (fst (snd p)) (snd (snd p)) /\ (length (snd (snd p)) <= n)%nat) ->
  INR (n + length rows) * (/ 2 * bpow beta (- prec + 1)) < 1 ->
  Rabs (fl (round beta (FLX_exp prec) (Znearest choice)) e - sumR (map (fun p => fst p * dot (snd (snd p))) rows)) <=
  gamma (/ 2 * bpow beta (- prec + 1)) (n + length rows) *
  sumR (map (fun p => Rabs (fst p) * adot (snd (snd p))) rows).
Proof.
intros T D Hu.
assert (X : ex e = sumR (map (fun p => fst p * dot (snd (snd p))) rows)).
{ rewrite (tree_ex _ _ T); unfold sum_of; rewrite map_map; f_equal; apply map_ext_in; intros p Hp.
  now destruct (isdot_spec _ _ (proj1 (D p Hp))) as [E _]; simpl; rewrite E. }
assert (A : ab e = sumR (map (fun p => Rabs (fst p) * adot (snd (snd p))) rows)).
{ rewrite (tree_ab _ _ T); unfold sum_abs; rewrite map_map; f_equal; apply map_ext_in; intros p Hp.
  now destruct (isdot_spec _ _ (proj1 (D p Hp))) as [_ [E _]]; simpl; rewrite E. }
rewrite <- X, <- A; apply expr_gamma_FLX; [assumption| |exact Hu].
rewrite <- (map_length (fun p : R * (expr * list (R * R)) => (fst p, fst (snd p))) rows).
apply (tree_dep _ _ _ T); intros p Hp; apply in_map_iff in Hp; destruct Hp as [q [<- Hq]]; simpl.
destruct (D q Hq) as [I L]; destruct (isdot_spec _ _ I) as [_ [_ [Hd _]]]; lia.
Qed.

(* FLT-1. With gradual underflow, rounding to nearest. *)
Theorem dot_error_any_order_FLT choice e l : wf (generic_format beta (FLT_exp emin prec)) e -> isdot e l ->
  INR (length l) * (/ 2 * bpow beta (- prec + 1)) < 1 ->
  Rabs (fl (round beta (FLT_exp emin prec) (Znearest choice)) e - dot l) <=
  gamma (/ 2 * bpow beta (- prec + 1)) (length l) * adot l
  + (1 + gamma (/ 2 * bpow beta (- prec + 1)) (length l)) * (INR (length l) * (/ 2 * bpow beta emin)).
Proof.
apply dot_error_any_order; [apply u_flt_ge0|apply eta_flt_ge0|apply flt_fmt; assumption|..].
- now intros x; apply flt_rnd_err.
- now intros x y; apply flt_add_err.
Qed.

End Formats.
